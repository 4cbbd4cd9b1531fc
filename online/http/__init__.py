"""HTTP/1.1 on an event loop: bytes in, requests out, replies back. Knows no models and no metrics."""
