"""Models to learn from, on real data."""
