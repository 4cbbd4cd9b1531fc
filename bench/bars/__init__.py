"""The bars of ``make bench-NAME``, one module a subject: ``measure`` returns its results."""
