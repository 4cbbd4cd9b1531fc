"""The endpoints that predict. They know no web framework: Flask would cost more than a small model does."""
