"""The contract of a Kafka client, and how one is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from engine.errors import BadSettings, ForetableError, Unavailable
from streaming.record import Outgoing, Partition, Record

CLIENTS = ("kafka-python", "confluent")
# How long opening waits for the first answer of any broker, if ``answer_timeout_ms`` is not less: signals wait as long.
# With less a slow network would seem to be none.
FIRST_REACH_S = 10.0
# Called with the partitions that this member has lost; what it has of them must not be committed any more.
# May not call the client.
Lost = Callable[[Sequence[Partition]], None]


class Fenced(ForetableError):
    """Another took this one's transactional id or instance id: of the two, the newer goes on. Stop.

    A transaction that outlived ``transaction_timeout_ms`` may end like this too: the broker does not tell them apart.
    """

    exit_code = 75


class Aborted(Unavailable):
    """The transaction cannot be committed, and nothing of it is seen. Abort it, rewind, and do its records again."""


class TooLarge(BadSettings):
    """A record is larger than what the topic takes."""


@dataclass(frozen=True, kw_only=True)
class ClientSettings:
    """How a client is set up. Times are in milliseconds, as Kafka's are.

    Attributes:
        servers: where to find the brokers: ``host:port``, joined by commas.
        group: of the consumers that share the topic.
        transactional_id: one instance's own, stable over its restarts; None commits offsets without transactions.
        instance_id: of a static member, which keeps its partitions over a restart; None for a dynamic one.
        session_timeout_ms: after which a member that is not heard of has lost its partitions.
        max_poll_interval_ms: after which a member that does not poll has lost them.
        transaction_timeout_ms: after which the broker aborts a transaction that its producer left.
        linger_ms: how long a record waits for others to be sent with.
        answer_timeout_ms: how long opening, committing, aborting and rewinding wait for the brokers' answer. With less
            than a broker takes to restart, each restart has work done twice; with more, the caller is stuck for longer.
        fetch_wait_ms: how long the broker waits for ``fetch_min_bytes``.
        fetch_min_bytes: what a fetch should bring.
        retry_backoff_ms: before a request is sent again; transactions wait for it in the ordinary course.
        compression: of what is sent: none, gzip, lz4, snappy or zstd.
        security: further settings by librdkafka's names: ``security.protocol``, ``sasl.mechanism`` …
    """

    servers: str
    group: str
    transactional_id: str | None
    instance_id: str | None = None
    session_timeout_ms: int = 45_000
    max_poll_interval_ms: int = 300_000
    transaction_timeout_ms: int = 60_000
    answer_timeout_ms: int = 30_000
    linger_ms: int = 0
    fetch_wait_ms: int = 100
    fetch_min_bytes: int = 1
    retry_backoff_ms: int = 3
    compression: str = "none"
    security: Mapping[str, str] = field(default_factory=dict)


class Client(Protocol):
    """A member of a consumer group, with a producer beside it. One thread uses it.

    Reads only what is committed. Errors: ``Unavailable`` where trying again may help (a broker that is away, a
    timeout), ``Aborted`` where the transaction under way is lost, ``Fenced`` where the member must stop,
    ``BadSettings`` where the settings or rights are wrong (an unknown topic, a refused password).

    After ``Unavailable`` and ``Aborted`` the same object goes on: ``abort``, then ``rewind``, each again until it
    returns. What came of a commit that ended in ``Unavailable`` is not known to the caller; ``abort`` settles it, and
    ``rewind`` then goes to where it was settled: after the transaction's records, if they were committed after all.

    Calls block without heeding signals for as long as their time limit (``timeout_s``, ``answer_timeout_ms``).
    """

    def subscribe(self, topic: str, lost: Lost) -> None:
        """Join the group for a topic (cooperative-sticky), from its last commit on, or else the topic's beginning.

        ``lost`` is called within ``poll``, in the caller's thread, before anything is returned; not by ``close``.

        Raises:
            BadSettings: there is no such topic.
        """

    def read(self, starts: Mapping[Partition, int]) -> None:
        """Read these partitions of one topic, each from an offset on, as no member of the group: not ``subscribe``.

        Where the topic begins later than an offset, reads from its beginning. ``rewind`` goes to what the group has
        committed all the same; ``commit`` takes no offsets.
        """

    def poll(self, timeout_s: float, most: int) -> list[Record]:
        """Return up to so many records of the partitions that are not paused; none within the time: an empty list.

        Returns as soon as there are any. Records of a partition are in order; partitions follow one another.
        A header's name that is not UTF-8 has replacement characters, or the record's headers are ``UNREADABLE``.
        Takes part in rebalances: must be called within ``max_poll_interval_ms``, if need be with all paused.

        Raises:
            Unavailable: nothing came, and no broker could be reached for some seconds. Poll again.
        """

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Let ``poll`` return nothing of these, from now on; what was fetched of them already is not lost.

        Ends with the partition: those that are assigned anew are not paused. What is not assigned is passed over.
        """

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Undo ``pause``."""

    @property
    def assigned(self) -> frozenset[Partition]:
        """The partitions that this member has now; changes only within ``poll`` and ``close``."""

    def rewind(self) -> None:
        """Go back, in all partitions of this member, to what is committed; after an abort, or a commit that failed.

        Where it fails it is still due, and ``poll`` begins with it.
        """

    def partitions_of(self, topic: str) -> int:
        """Return how many partitions a topic has; raise ``BadSettings`` where there is no such topic.

        Learns, too, how large a record the topic takes, where this client has the right to ask (DescribeConfigs): call
        it for each topic that is sent to, between transactions, and ``send`` knows which record is too large.
        """

    def bounds(self, topic: str, *, since_ms: int = 0) -> dict[Partition, tuple[int, int]]:
        """Return, by partition, the first offset of a topic and the end of what is committed there.

        With ``since_ms``, in Unix time, the first offset of a record whose time is that or later: none before it has.
        The end where there is no such record; what lies behind the first may have earlier times.

        Raises:
            BadSettings: there is no such topic.
        """

    def begin(self) -> None:
        """Begin a transaction; nothing without transactions."""

    def send(self, *records: Outgoing) -> None:
        """Send records, in the transaction where there is one; does not wait, unless its buffers are full.

        Other errors than these may come with the commit.

        Raises:
            TooLarge: one is larger than the client or, as far as it knows, the topic takes; counted before compression.
                Those before it are sent, it and those behind it are not, and the transaction goes on.
            Unavailable: the topic's partitions could not be asked for, or the buffers stay full.
        """

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Commit what was sent and, with it, the offsets of the next records to read; wait until it is done.

        Without transactions: wait for what was sent, then commit the offsets. A record that the broker refuses for its
        size raises ``TooLarge``; the transaction must then be aborted. So must it after each other error.

        Raises:
            Aborted: among others, where an offset's partition is not this member's any more.
        """

    def abort(self) -> None:
        """Abort the transaction under way, if any; forget what was sent. A producer past saving is replaced.

        Raises:
            Unavailable: no broker answers. Abort again; ``begin`` begins with it.
        """

    def lag(self) -> dict[Partition, tuple[int, int]]:
        """Return, by assigned partition, the next offset to read and the end of what is committed there.

        Their difference bounds the records that wait from above: it counts the control records that end transactions,
        and what was aborted. It is 0 exactly where nothing waits, once ``poll`` has come to the end: the next offset
        to read passes control records then. So a partition whose control record is still to be passed shows 1 until
        the next ``poll``. The end is asked for, so that paused partitions count, too.

        No answer within a second, or one that is not known yet, leaves a partition out.
        """

    def close(self) -> None:
        """Leave the group (a static member stays), abort what is under way, close the connections; raises nothing."""


def open_client(name: str, settings: ClientSettings) -> Client:
    """Open a client by its name in ``CLIENTS``; connects, and claims the transactional id.

    Raises:
        Unavailable: no broker answers.
        BadSettings: the client's library is not installed, or the settings are wrong.
    """
    if name not in CLIENTS:
        message = f"the Kafka client must be one of {', '.join(CLIENTS)}; got {name!r}."
        raise BadSettings(message)
    for server in settings.servers.split(","):
        host, _, port = server.rpartition(":")
        if not (host.strip() and port.strip().isdigit()):
            message = f"the Kafka client's servers must be host:port, joined by commas; got {settings.servers!r}."
            raise BadSettings(message)
    try:
        if name == "confluent":
            from streaming.clients.confluent import ConfluentClient

            return ConfluentClient(settings)
        from streaming.clients.kafka_python import KafkaPythonClient

        return KafkaPythonClient(settings)
    except ImportError as error:
        extra = "fast-kafka" if name == "confluent" else "kafka"
        message = f"the Kafka client {name!r}: its library is not installed. pip install 'foretable[{extra}]'."
        raise BadSettings(message) from error
