"""Request: rows to a stream, and its answers waited for."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from engine.logs import start_logging
from engine.program import INTERRUPTED, run
from streaming.asking.config import PROGRAM, RequestConfig, parse_config
from streaming.asking.exchange import Answers, Ask, Exchange
from streaming.asking.latency import latency_text
from streaming.asking.matching import Counts
from streaming.asking.output import opened_output
from streaming.asking.rows import Reader
from streaming.bar import progress_bar
from streaming.clients.client import Client
from streaming.connection import opened
from streaming.record import Headers

_SOME_DEAD, _SOME_MISSING = 65, 75


def main(argv: Sequence[str] | None = None) -> int:
    """Send, wait if asked to; return the exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    return run(PROGRAM, lambda: request(parse_config(arguments, os.environ), _trace()))


def request(config: RequestConfig, headers: Headers) -> int:
    """Send rows with these headers, and take the answers; return the exit code.

    Raises:
        ForetableError: the input cannot be read, or the brokers do not answer. What was sent is told all the same.
    """
    start_logging(config.log_format)
    reader = Reader(config.input, rows_a_record=config.rows_a_record, arrow=config.arrow, key=config.key)
    exchange: Exchange | None = None
    try:
        with (
            opened(config, group=_group()) as client,
            _letters(config) as letters,
            opened_output(config.output if config.wait else None) as out,
            progress_bar(None, "answers" if config.wait else "requests") as bar,
        ):
            ask = Ask(
                topic=config.topic,
                partitions=client.partitions_of(config.topic),
                headers=headers,
                deadline_ms=config.deadline_ms,
            )
            answers = None
            if config.predictions is not None and config.wait:
                _read_from_end(client, config.predictions)
                answers = Answers(client, letters, out)
            exchange = Exchange(client, ask, answers, bar)
            exchange.send(reader.requests())
            if config.wait:
                exchange.wait(config.timeout_s)
                exchange.write(final=True)
    except KeyboardInterrupt:
        absent = f"; {config.output} was not written" if config.output else ""
        print(f"{PROGRAM}: interrupted{absent}", file=sys.stderr)
        return INTERRUPTED
    finally:
        if exchange is not None:
            print(summary(config, exchange.matching.counts, exchange.rows), file=sys.stderr, flush=True)
    return _code(exchange.matching.counts) if config.wait else 0


def summary(config: RequestConfig, counts: Counts, rows: int) -> str:
    """Return what became of the requests, and how long answers took."""
    lines = [f"sent {counts.sent:,} requests of {rows:,} rows to {config.topic}"]
    if config.wait:
        lines.append(f"answered {counts.answered:,}, dead letters {counts.dead:,}, missing {counts.missing:,}")
        if counts.repeated:
            lines.append(f"{counts.repeated:,} answers came again")
    if counts.latencies_s:
        lines.append(latency_text(counts.latencies_s))
    return "\n".join(lines)


def _code(counts: Counts) -> int:
    """Return what tells most: with some missing, nobody knows yet what became of all."""
    if counts.missing:
        return _SOME_MISSING
    return _SOME_DEAD if counts.dead else 0


@contextmanager
def _letters(config: RequestConfig) -> Iterator[Client | None]:
    """Give a client that reads the dead letters: each reads one topic."""
    if config.dead_letters is None or not config.wait:
        yield None
        return
    with opened(config, group=_group()) as client:
        _read_from_end(client, config.dead_letters)
        yield client


def _read_from_end(client: Client, topic: str) -> None:
    client.read({partition: end for partition, (_, end) in client.bounds(topic).items()})


def _group() -> str:
    """Return a group of one's own: nothing is committed, and nobody is disturbed."""
    return f"foretable-request-{secrets.token_hex(4)}"


def _trace() -> Headers:
    """Return the trace that this run is part of, if the environment has one."""
    found = os.environ.get("TRACEPARENT")
    return (("traceparent", found.encode()),) if found else ()


if __name__ == "__main__":
    raise SystemExit(main())
