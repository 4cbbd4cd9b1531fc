"""The server's logs: lines of text, or JSON objects for machines that collect them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JsonFormatter(logging.Formatter):
    """One JSON object a record; what ``extra={"fields": …}`` gave stands beside the message."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": time, "level": record.levelname, "logger": record.name, "message": record.getMessage()}
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def start_logging(form: str) -> None:
    """Log to standard error from the level INFO on."""
    handler = logging.StreamHandler()
    handler.setFormatter(_formatter(form))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def granian_logging(form: str, *, explained: Callable[[], bool]) -> dict[str, Any]:
    """Return granian's logging, as ``logging.config.dictConfig`` takes it: warnings, in the form of ours.

    Args:
        form: text or json.
        explained: whether a worker that ended has said why itself; granian's word on it is left out then.
    """

    def is_worth_reading(record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if "Python threads, which seems quite high" in message:  # there are more than processors on purpose: server.py
            return False
        return not ("Unexpected exit from worker" in message and explained())

    return {
        "formatters": {"ours": {"()": lambda: _formatter(form)}},
        "filters": {"worth reading": {"()": lambda: is_worth_reading}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "ours",
                "filters": ["worth reading"],
                "stream": "ext://sys.stderr",
            }
        },
        "loggers": {"_granian": {"handlers": ["stderr"], "level": "WARNING", "propagate": False}},
    }


def _formatter(form: str) -> logging.Formatter:
    return JsonFormatter() if form == "json" else logging.Formatter(_TEXT)
