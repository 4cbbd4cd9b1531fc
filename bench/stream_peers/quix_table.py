"""Quix Streams answering by the same table: ``… SERVERS REQUESTS PREDICTIONS GROUP BATCH CATEGORIES ANSWERS``.

It has no lookup table and no batches of rows, so it gets that of ``table.py``. JSON is read and written by its own
serialisers, which call orjson. Its guarantee is exactly once, and ``commit_every`` makes its transactions as large as
ours: with its default, all that comes within 5 s, it was no faster. librdkafka's producer waits a little for more to
send at once, as ours does; changelogs, which only state needs, are off, and so is what it would log.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence

from bench.stream_peers.table import answer_by


def main(argv: Sequence[str]) -> None:
    """Answer until SIGTERM."""
    from quixstreams import Application

    servers, requests, predictions, group, batch, categories, answers = argv
    answer = answer_by(categories, answers)
    with tempfile.TemporaryDirectory() as state:
        application = Application(
            servers,
            consumer_group=group,
            processing_guarantee="exactly-once",
            commit_every=int(batch),
            auto_offset_reset="earliest",
            auto_create_topics=False,
            use_changelog_topics=False,
            state_dir=state,
            loglevel="WARNING",
            consumer_extra_config={"isolation.level": "read_committed"},
            producer_extra_config={"linger.ms": 5},
        )
        given = application.topic(requests, value_deserializer="json")
        target = application.topic(predictions, value_serializer="json")
        application.dataframe(given).apply(answer).to_topic(target)
        application.run()


if __name__ == "__main__":
    main(sys.argv[1:])
