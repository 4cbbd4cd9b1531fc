"""Quix Streams answering by the same table: ``… SERVERS REQUESTS PREDICTIONS GROUP BATCH CATEGORIES ANSWERS``.

It has no lookup table and no batches of rows, so it gets the plainest strong reading of *table first*: each text is one
lookup in a dict that holds its share of the ordinal already, and the answer is one index into an array of all answers.
JSON is read and written by its own serialisers, which call orjson. Its guarantee is exactly once, and ``commit_every``
makes its transactions as large as ours: with its default, all that comes within 5 s, it was no faster. librdkafka's
producer waits a little for more to send at once, as ours does; changelogs, which only state needs, are off, and so is
what it would log.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


def strided(categories: dict[str, list[str]]) -> list[tuple[str, dict[str, int]]]:
    """Return, by feature, what each text adds to the row's ordinal; the last feature turns fastest."""
    stride, found = 1, []
    for name, texts in reversed(categories.items()):
        found.append((name, {text: place * stride for place, text in enumerate(texts)}))
        stride *= len(texts)
    return found[::-1]


def main(argv: Sequence[str]) -> None:
    """Answer until SIGTERM."""
    from quixstreams import Application

    servers, requests, predictions, group, batch, categories, answers = argv
    features = strided(json.loads(Path(categories).read_text(encoding="utf-8")))
    table = np.load(answers)

    def answer(row: dict[str, str]) -> dict[str, Any]:
        ordinal = 0
        for name, known in features:
            ordinal += known[row[name]]
        return {"model": "lookup", "release": 1, "source": "table", "outputs": {"on_time": table[ordinal].item()}}

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
