"""On-time flights: tabular, finite, the whole answer in a table."""
