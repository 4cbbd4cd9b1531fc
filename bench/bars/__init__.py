"""The bars of ``make bench-main``, one module a subject: ``measure`` returns its results."""
