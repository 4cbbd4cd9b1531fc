"""Settings of ``foretable dead-letters``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.errors import BadSettings
from engine.settings import SettingsParser, flag, integer, names, setting
from streaming.config import without_stream
from streaming.connection import Connection, topic_name
from streaming.letters.selection import Selection, dispositions, instant
from streaming.outcome import DISPOSITIONS, TRANSIENT
from streaming.record import Partition

PROGRAM = "foretable dead-letters"


@dataclass(frozen=True, kw_only=True)
class LettersConfig(Connection):
    """What all of its actions take."""

    topic: str = setting("topic of the dead letters; must be given", topic_name)
    json: bool = flag("print one line of JSON, and no progress bar")


@dataclass(frozen=True, kw_only=True)
class ListConfig(LettersConfig):
    """Which letters ``list`` lists."""

    disposition: tuple[str, ...] = setting(f"only these: {', '.join(DISPOSITIONS)}", dispositions, default=())
    cause: tuple[str, ...] = setting("only these causes, joined by commas", names, default=())
    since: float | None = setting(
        "only letters written since: 2026-01-31T12:00, in UTC, or 90s, 30m, 2h, 7d ago", instant, default=None
    )
    limit: int = setting("most letters to show, the newest; all are counted", integer(1, 1_000_000), default=100)

    @property
    def selection(self) -> Selection:
        """Which letters."""
        return Selection(dispositions=self.disposition, causes=self.cause, since_s=self.since)


@dataclass(frozen=True, kw_only=True)
class ReplayConfig(LettersConfig):
    """What ``replay`` sends where."""

    disposition: tuple[str, ...] = setting(
        f"send these again: {', '.join(DISPOSITIONS)}; the others are passed over",
        dispositions,
        default=(TRANSIENT,),
    )
    all: bool = flag("send letters of every disposition again")
    to: str | None = setting("topic to send them to; the one each came from if not given", topic_name, default=None)
    dry_run: bool = flag("send and commit nothing; say what would be done")
    batch_records: int = setting("most letters in one transaction", integer(1, 100_000), default=500)

    def __post_init__(self) -> None:
        """Check what no field can know alone."""
        if self.to == self.topic:
            message = f"--to must be another topic than --topic; got {self.to} for both"
            raise BadSettings(message)

    @property
    def selection(self) -> Selection:
        """Which letters."""
        return Selection(dispositions=() if self.all else self.disposition)

    @property
    def group(self) -> str:
        """The consumer group whose offsets say which letters were dealt with."""
        return f"foretable-replay-{self.topic}"


def parse_list(argv: Sequence[str], environment: Mapping[str, str]) -> ListConfig:
    """Return the settings of ``list``; raise ``BadSettings`` as ``SettingsParser.read`` does."""
    description = "List the dead letters of a topic, and count them by disposition and cause."
    parser = SettingsParser(ListConfig, program=f"{PROGRAM} list", description=description)
    return parser.read(vars(parser.options.parse_args(argv)), without_stream(environment, ListConfig))


def parse_show(argv: Sequence[str], environment: Mapping[str, str]) -> tuple[LettersConfig, Partition, int]:
    """Return the settings of ``show``, and the letter's partition and offset; raise as ``parse_list``."""
    description = "Show one dead letter whole."
    parser = SettingsParser(LettersConfig, program=f"{PROGRAM} show", description=description)
    parser.options.add_argument("letter", metavar="PARTITION:OFFSET", help="where it lies, as list tells")
    given = vars(parser.options.parse_args(argv))
    config = parser.read(given, without_stream(environment, LettersConfig))
    partition, _, offset = given["letter"].partition(":")
    if not all(part.isascii() and part.isdigit() and len(part) <= 18 for part in (partition, offset)):
        message = f"the letter must be PARTITION:OFFSET, such as 0:12; got {given['letter'][:80]!r}"
        raise BadSettings(message)
    return config, Partition(config.topic, int(partition)), int(offset)


def parse_replay(argv: Sequence[str], environment: Mapping[str, str]) -> ReplayConfig:
    """Return the settings of ``replay``; raise as ``parse_list``."""
    description = (
        "Send dead letters back to the topic each came from, exactly once: what is sent and how far the letters were "
        "read is committed in one transaction, so that running it again, after whatever, sends the rest. Letters that "
        "are not chosen are passed over for good: the next replay begins behind them, too. Those that hold a digest "
        "instead of a value, or were redacted, cannot be sent again; they are counted. Ends where the topic ended when "
        "it began. Of two at once the newer goes on."
    )
    parser = SettingsParser(ReplayConfig, program=f"{PROGRAM} replay", description=description)
    return parser.read(vars(parser.options.parse_args(argv)), without_stream(environment, ReplayConfig))
