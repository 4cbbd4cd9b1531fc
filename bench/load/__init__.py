"""Load on a server: as fast as it answers (``closed_loop.py``), and at a constant rate (``open_loop.py``)."""
