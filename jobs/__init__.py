"""The batch programs: train, precompute, publish. Each is ``python -m jobs.NAME``, ``foretable NAME`` and a script."""
