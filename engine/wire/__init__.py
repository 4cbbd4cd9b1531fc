"""Rows and answers as transports carry them: JSON and Arrow streams. Knows no transport."""
