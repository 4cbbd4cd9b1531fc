"""``foretable profile``: what a request to a running server costs, and what each of its rows adds."""
