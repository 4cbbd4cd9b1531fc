"""Settings of ``foretable request``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.errors import BadSettings
from engine.settings import SettingsParser, flag, integer, seconds, setting, text
from streaming.config import without_stream
from streaming.connection import Connection, topic_name

PROGRAM = "foretable request"


@dataclass(frozen=True, kw_only=True)
class RequestConfig(Connection):
    """What is sent where, and what is waited for."""

    topic: str = setting("topic of the requests; must be given", topic_name)
    input: str = setting("rows: a file of JSON lines, - for standard input, or a .parquet file; must be given", text)
    key: str | None = setting(
        "feature whose value (of a request's first row) is the record's key, and so decides its partition",
        text,
        default=None,
    )
    rows_a_record: int = setting(
        "rows in one request: 1 is an object, more are a list of them", integer(1, 1_000_000), default=1
    )
    arrow: bool = flag("send Arrow streams instead of JSON")
    deadline_ms: int | None = setting(
        "milliseconds after sending from which on an answer is of no use", integer(1, 86_400_000), default=None
    )
    wait: bool = flag("wait for the answers and print them, a line of JSON a request, in the order of the input")
    predictions: str | None = setting("topic of the predictions, for --wait", topic_name, default=None)
    dead_letters: str | None = setting("topic of the dead letters, for --wait", topic_name, default=None)
    timeout_s: float = setting("seconds to wait for answers after the last request was sent", seconds, default=60.0)
    output: str | None = setting(
        "file of the answers, whole or absent; standard output if not given", text, default=None
    )

    def __post_init__(self) -> None:
        """Check what no field can know alone."""
        if self.wait and self.predictions is None:
            message = "--wait must know where answers come; got no --predictions"
            raise BadSettings(message)
        topics = [topic for topic in (self.topic, self.predictions, self.dead_letters) if topic]
        if len(set(topics)) < len(topics):
            message = f"--topic, --predictions and --dead-letters must be distinct; got {', '.join(topics)}"
            raise BadSettings(message)


def parse_config(argv: Sequence[str], environment: Mapping[str, str]) -> RequestConfig:
    """Return the settings; raise ``BadSettings`` as ``SettingsParser.read`` does."""
    description = (
        "Send rows to a stream as requests, each with a correlation id (and the traceparent of TRACEPARENT in the "
        "environment). With --wait: print the answers, and on standard error how many came and how long they took. "
        "Ends with 0 where all were answered, 65 where some became dead letters, 75 where of some nothing came in time."
    )
    parser = SettingsParser(RequestConfig, program=PROGRAM, description=description)
    return parser.read(vars(parser.options.parse_args(argv)), without_stream(environment, RequestConfig))
