"""Why kafka-python could not connect, which it tells its log alone: to the caller all is a time that is over."""

from __future__ import annotations

import logging

from kafka import errors as kafka_errors

from engine.errors import BadSettings, ForetableError
from streaming.clients.kafka_python_errors import explain

_LOGGER = "kafka.net.manager"


class ConnectionFailures(logging.Handler):
    """The last failure to connect since it was made."""

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
            if isinstance(given, BaseException) and not isinstance(given, kafka_errors.KafkaTimeoutError):
                self._last = given

    def explain(self, error: BaseException, where: str) -> ForetableError:
        """Return what to raise where opening failed with an error: by the failure behind it, if there was one."""
        behind = self._last
        if not isinstance(error, kafka_errors.KafkaTimeoutError) or behind is None:
            return explain(error, where, otherwise=BadSettings)
        # A certificate that cannot be verified is a connection that failed, to the library.
        untrusted = "CERTIFICATE_VERIFY_FAILED" in str(behind)
        if untrusted:
            return BadSettings(
                f"{where}: {behind}. Correct the settings: ssl.ca.location must be the brokers' authority."
            )
        known = explain(behind, where)
        return known if isinstance(known, BadSettings) else explain(error, f"{where}: {behind}")
