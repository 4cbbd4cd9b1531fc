"""The part of an endpoint's answer that may take long."""

from __future__ import annotations

from collections.abc import Callable

from online.http.reply import Reply

# Reads a body, asks the model, renders. May block and raise; any thread may call it, once.
Work = Callable[[], Reply]
