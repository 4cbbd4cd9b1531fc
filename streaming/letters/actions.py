"""What is done with dead letters: list those of a topic, show one whole, send them again."""

from __future__ import annotations

import json
import secrets
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Mapping

from engine.errors import NotFound
from engine.logs import start_logging
from engine.program import INTERRUPTED, say
from streaming.bar import offsets_bar
from streaming.clients.client import Client
from streaming.connection import opened
from streaming.ends import read_to_ends
from streaming.letters.config import PROGRAM, LettersConfig, ListConfig, ReplayConfig
from streaming.letters.description import describe, description_json
from streaming.letters.letter import Letter
from streaming.letters.listing import Listing
from streaming.letters.replay import Replay, Sorting, Tally
from streaming.record import Partition

# Where the output is no terminal, a message of some words fits on lines of this length.
_WIDTH = 200


def list_letters(config: ListConfig) -> int:
    """Print the table; return the exit code."""
    start_logging(config.log_format)
    listing = Listing(config.limit)
    with opened(config, group=_reader(config)) as client:
        selection = config.selection
        bounds = client.bounds(config.topic, since_ms=selection.since_ms)
        _read_all(client, config, bounds, lambda letters: listing.add(filter(selection.has, letters)))
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH
    say(json.dumps(listing.to_json()) if config.json else listing.text(width))
    return 0


def show_letter(config: LettersConfig, partition: Partition, offset: int) -> int:
    """Print one letter; return the exit code.

    Raises:
        NotFound: there is none at this place.
    """
    start_logging(config.log_format)
    with opened(config, group=_reader(config)) as client:
        first, end = client.bounds(config.topic).get(partition, (0, 0))
        if first <= offset < end:
            client.read({partition: offset})
            for records in read_to_ends(client, {partition: (offset, offset + 1)}):
                for record in records:
                    letter = Letter.of(record)
                    say(json.dumps(description_json(letter)) if config.json else describe(letter))
                    return 0
    message = (
        f"{config.topic} {partition.number}:{offset}: a letter must lie there; got none. Partition {partition.number} "
        f"holds offsets {first} to {end}, some of them marks of transactions. foretable dead-letters list tells"
    )
    raise NotFound(message)


def try_replay(config: ReplayConfig) -> int:
    """Say what a replay would do; return the exit code."""
    start_logging(config.log_format)
    tally = Tally()
    with opened(config, group=config.group) as client:
        sorting = Sorting(client, config.selection, config.to)

        def take(letters: list[Letter]) -> None:
            for request in sorting.sort([letter.record for letter in letters], tally):
                tally.sent[request.partition.topic] += 1

        _read_all(client, config, client.bounds(config.topic), take, committed=True)
    say(json.dumps({**tally.to_json(), "dry_run": True}) if config.json else tally.text(dry=True))
    return 0


def replay_letters(config: ReplayConfig) -> int:
    """Send letters again; return the exit code. What was committed is told, however it ends."""
    start_logging(config.log_format)
    group = config.group
    # A static member: a replay that was killed has its partitions taken over at once, and not when its session ends.
    with opened(config, group=group, transactional_id=group, instance_id=group) as client:
        bounds = client.bounds(config.topic)
        replay = Replay(
            client, config.topic, Sorting(client, config.selection, config.to), batch_records=config.batch_records
        )
        stop = _stopped_by_signal()
        try:
            with offsets_bar(bounds, "letters", quiet=config.json) as progress:
                replay.run(bounds, progress, stop)
        finally:
            say(json.dumps(replay.tally.to_json()) if config.json else replay.tally.text(dry=False))
    if stop.is_set():
        print(f"{PROGRAM}: interrupted; what was sent is committed, and run again it sends the rest", file=sys.stderr)
    return INTERRUPTED if stop.is_set() else 0


def _stopped_by_signal() -> threading.Event:
    """Return what SIGINT and SIGTERM set: between transactions one knows what was done. A second one ends at once."""
    stop = threading.Event()

    def tell(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, signal.default_int_handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, tell)
    return stop


def _read_all(
    client: Client,
    config: LettersConfig,
    bounds: Mapping[Partition, tuple[int, int]],
    take: Callable[[list[Letter]], None],
    *,
    committed: bool = False,
) -> None:
    """Read all letters within bounds, or of them from what the client's group has committed on."""
    client.read({partition: first for partition, (first, _) in bounds.items()})
    if committed:
        client.rewind()
    with offsets_bar(bounds, "letters", quiet=config.json) as progress:
        for records in read_to_ends(client, bounds):
            take([Letter.of(record) for record in records])
            progress(records)


def _reader(config: LettersConfig) -> str:
    """Return a group of one's own: nothing is committed, and nobody is disturbed."""
    return f"foretable-read-{config.topic}-{secrets.token_hex(4)}"
