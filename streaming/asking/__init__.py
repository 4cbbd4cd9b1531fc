"""Requests from the shell: rows sent to a stream, and its answers waited for."""
