"""The routes, by protocol. Each module has ``mount``, which adds its routes to the application."""
