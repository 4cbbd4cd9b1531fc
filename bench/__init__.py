"""The README's claims, as commands: ``make bench-NAME`` measures, ``make bench-report`` compares with the goals."""
