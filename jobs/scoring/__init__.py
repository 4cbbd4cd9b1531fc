"""Batch scoring: a data set is cut into splits, and one pure function scores a split into one file."""
