"""What bench-online serves: the net with a table, the net without one, and a net so deep that a row takes 5 ms."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlencode

from bench.deep_net import deep_bundle
from bench.load.request import Request, json_request
from bench.net import net_bundle, net_space
from bench.random_rows import random_rows
from engine.bundle import BundleContents
from engine.registry import Registry
from engine.space import FeatureSpace
from jobs.precompute import PrecomputeSettings, precompute
from jobs.publish import NO_TABLE, PublishSettings, publish
from jobs.runner import open_runner

# The combinations of the flights model.
ROWS = 8_467_200
LOOKUP, DIRECT, DEEP = "lookup", "direct", "deep"
Row = dict[str, object]


@dataclass(frozen=True)
class Served:
    """The models in their registry, and rows to ask them for.

    Attributes:
        registry: its URL.
        space: of all three models.
        rows: random ones, as raw texts.
    """

    registry: str
    space: FeatureSpace
    rows: Sequence[Row]

    def categories(self, folder: Path) -> Path:
        """Write the texts of each feature as JSON, for peers; return the file."""
        texts = {f.name: [f.raw(code) for code in range(f.size)] for f in self.space.index_features}
        file = folder / "categories.json"
        file.write_text(json.dumps(texts), encoding="utf-8")
        return file


def serve_all(registry: Registry, rows: int) -> Served:
    """Write and publish the models, ``lookup`` alone with a table; draw so many rows."""
    served = serve_lookup(registry, rows)
    for name, bundle in ((DIRECT, net_bundle(served.space)), (DEEP, deep_bundle(served.space))):
        _publish(registry, name, bundle)
    return served


def serve_lookup(registry: Registry, rows: int) -> Served:
    """Write and publish ``lookup`` alone; draw so many rows."""
    space = net_space(ROWS)
    _publish(registry, LOOKUP, net_bundle(space))
    return Served(registry.url, space, random_rows(space, rows).dicts())


def publish_table(registry: Registry, codec: str) -> int:
    """Precompute and publish ``lookup`` in a codec; return the release."""
    precompute(registry, PrecomputeSettings(model=LOOKUP, codec=codec, quiet=True), lambda: open_runner("local"))
    return publish(registry, PublishSettings(model=LOOKUP, codec=codec, reason="a benchmark")).release.number


def _publish(registry: Registry, name: str, bundle: BundleContents) -> None:
    registry.model(name).write_bundle(replace(bundle, model=name))
    if name == LOOKUP:
        publish_table(registry, "float32")
    else:
        publish(registry, PublishSettings(model=name, table=NO_TABLE, sample_rows=100))


def get_requests(rows: Sequence[Row], headers: tuple[tuple[str, str], ...] = ()) -> list[Request]:
    """Return lookups of single rows."""
    return [Request(f"/v1/models/{LOOKUP}:predict?{urlencode(row)}", headers=headers) for row in rows]


def post_requests(rows: Sequence[Row], path: str) -> list[Request]:
    """Return a POST a row, with TensorFlow Serving's row body."""
    return [json_request(path, {"instances": [row]}) for row in rows]


def tensor_requests(rows: Sequence[Row], path: str) -> list[Request]:
    """Return a POST a row, with the body of the Open Inference Protocol: a tensor of one text a feature."""
    return [
        json_request(
            path,
            {
                "inputs": [
                    {"name": name, "shape": [1, 1], "datatype": "BYTES", "data": [text]} for name, text in row.items()
                ]
            },
        )
        for row in rows
    ]


def predict_path(model: str) -> str:
    """Return the path of TensorFlow Serving's protocol."""
    return f"/v1/models/{model}:predict"
