"""What people use today to answer one row over HTTP, each a small program at its best, and the floor under them all."""
