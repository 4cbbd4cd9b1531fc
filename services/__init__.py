"""Real services for laptops, tests and CI, without Docker: ``python -m services up`` starts them, ``down`` ends them.

Imports nothing of the other packages; only tests and benchmarks import it.
"""
