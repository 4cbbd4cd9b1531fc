"""Why kafka-python could not connect, which it tells its log alone: to the caller all is a time that is over."""

from __future__ import annotations

import logging

from kafka import errors as kafka_errors

from engine.errors import BadSettings, ForetableError
from streaming.clients.kafka_python_errors import explain

_LOGGER = "kafka.net.manager"


class ConnectionFailures(logging.Handler):
    """Why the library could not connect since it was made: that it was refused, or else the last of its reasons."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._last: BaseException | None = None

    def __enter__(self) -> ConnectionFailures:
        """Begin to listen."""
        logging.getLogger(_LOGGER).addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        logging.getLogger(_LOGGER).removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what the library's thread found; that the time is over, the caller is told."""
        for given in record.args if isinstance(record.args, tuple) else ():
            if not isinstance(given, BaseException) or isinstance(given, kafka_errors.KafkaTimeoutError):
                continue
            if self._last is None or not _is_refusal(self._last):  # after it comes only that a connection was closed
                self._last = given

    def explain(self, error: BaseException, where: str) -> ForetableError:
        """Return what to raise where opening failed with an error: by the failure behind it, if there was one."""
        behind = self._last
        if not isinstance(error, kafka_errors.KafkaTimeoutError) or behind is None:
            return explain(error, where, otherwise=BadSettings)
        if _is_refusal(behind):
            return BadSettings(f"{where}: {behind}. Correct the settings: password, user, or the authorities' file.")
        return explain(error, f"{where}: {behind}")


def _is_refusal(error: BaseException) -> bool:
    """Whether a broker answered, and will not let this client in: or the client does not trust the broker."""
    # A certificate that cannot be verified is a connection that failed, to the library.
    return isinstance(explain(error, ""), BadSettings) or "CERTIFICATE_VERIFY_FAILED" in str(error)
