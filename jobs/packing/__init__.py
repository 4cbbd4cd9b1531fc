"""The archive that executors install from: packages, and what starts a host's Python with them."""
