"""Dead letters, for people: listed, shown, and sent again."""
