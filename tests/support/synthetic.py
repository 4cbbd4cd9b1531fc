"""A small two-output model for tests that run without TensorFlow: committed LiteRT files, their spaces, a registry.

``python -m tests.support.make_models`` writes the files again.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.bundle import BundleContents
from engine.codec import codec_named
from engine.feature import Bucketed, Categorical, Number, Tensor, Unknown
from engine.histogram import response_histogram
from engine.manifest import now_text
from engine.output import Output, OutputSchema
from engine.registry import ModelRegistry, Registry
from engine.release import Release
from engine.runtime import Runtime
from engine.space import FeatureSpace

MODELS = Path(__file__).parent / "models"
FINITE_NAME, NUMBERS_NAME, SPINNING_NAME = "synthetic", "numbers", "spinning"
# The model of SPINNING_NAME never answers a batch where some row's price is this.
SPINS_AT = 13.0
CITIES = ("Zürich", "São Paulo", "東京", "Łódź", "Αθήνα", "naïve café 🍰", *(f"city {number}" for number in range(24)))
PLANS = ("basic", "family", "pro", "7")


def synthetic_space() -> FeatureSpace:
    """36,360 rows: 30 cities x 4 plans x 101 ages x 3 sizes. An unknown plan is valid, and not in the table."""
    return FeatureSpace(
        [
            Categorical("city", CITIES),
            Categorical("plan", PLANS, unknown=Unknown.MODEL),
            Bucketed("age", tuple(range(1, 101))),
            Categorical("size", ("1", "2"), unknown=Unknown.SLOT),
        ]
    )


def synthetic_schema() -> OutputSchema:
    """A row of 3 values: ``click`` and the two of ``share``, which lie between -1 and 1."""
    return OutputSchema([Output("click"), Output("share", width=2, range=(-1.0, 1.0), labels=("left", "right"))])


def synthetic_model() -> bytes:
    """The LiteRT file over ``synthetic_space``."""
    return (MODELS / "synthetic.tflite").read_bytes()


def wide_model(variant: str) -> bytes:
    """The LiteRT file of a larger net over ``synthetic_space``, ``float32`` or ``int8``."""
    return (MODELS / f"wide.{variant}.tflite").read_bytes()


def numbers_space() -> FeatureSpace:
    """A space that is not finite: a category, two numbers, a tensor of shape (2, 3)."""
    return FeatureSpace(
        [Number("price"), Categorical("plan", PLANS), Tensor("vector", shape=(2, 3)), Number("distance")]
    )


def numbers_model() -> bytes:
    """The LiteRT file over ``numbers_space``; its outputs are those of ``synthetic_schema``."""
    return (MODELS / "numbers.tflite").read_bytes()


def publish_synthetic(registry_url: str, codec: str = "float32", *, with_table: bool = True) -> Release:
    """Write bundle, table (unless told not to) and release of ``synthetic``, and move ``production`` to it."""
    models = Registry(registry_url).model(FINITE_NAME)
    space = synthetic_space()
    step = space.size // 40
    rows: list[dict[str, object]] = [dict(space.row(ordinal)) for ordinal in range(0, space.size, step)]
    rows[3] = {**rows[3], "plan": "nobody's"}
    bundle = _write_bundle(models, space, synthetic_model(), rows)
    table = precompute_synthetic(registry_url, codec) if with_table else None
    return _release(models, bundle, codec, table)


def publish_numbers(registry_url: str, codec: str = "float32", *, spinning: bool = False) -> Release:
    """Write bundle and release of ``numbers`` (or ``spinning``), which can have no table; move ``production`` to it."""
    models = Registry(registry_url).model(SPINNING_NAME if spinning else NUMBERS_NAME)
    model = (MODELS / "spinning.tflite").read_bytes() if spinning else numbers_model()
    bundle = _write_bundle(models, numbers_space(), model, numbers_rows(40))
    return _release(models, bundle, codec, None)


def numbers_rows(count: int, seed: int = 1) -> list[dict[str, object]]:
    """Raw rows of ``numbers_space``."""
    random = np.random.default_rng(seed)
    return [
        {
            "price": float(np.float32(random.normal())),
            "plan": PLANS[random.integers(len(PLANS))],
            "vector": random.normal(size=(2, 3)).astype(np.float32).tolist(),
            "distance": int(random.integers(-5, 5)),
        }
        for _ in range(count)
    ]


def precompute_synthetic(registry_url: str, codec: str = "float32") -> str:
    """Precompute the table of the newest bundle of ``synthetic``, in shards of one block, and return its key."""
    from jobs.precompute import PrecomputeSettings, precompute
    from tests.support.inline_runner import InlineRunner

    settings = PrecomputeSettings(model=FINITE_NAME, codec=codec, shard_rows=1, quiet=True)
    return precompute(Registry(registry_url), settings, InlineRunner).table


def _write_bundle(models: ModelRegistry, space: FeatureSpace, model: bytes, rows: list[dict[str, object]]) -> str:
    schema = synthetic_schema()
    encoded = space.encode_rows(rows)
    if encoded.faults:
        raise next(iter(encoded.faults.values()))
    answers = Runtime(model, space, schema.width).infer(encoded.inputs)
    return models.write_bundle(
        BundleContents(
            model=models.name,
            space=space,
            schema=schema,
            variants={"float32": model},
            golden_rows=rows,
            golden_answers=answers,
            metrics={"click.log_loss": 0.5, "click.auc": 0.75},
            histogram=response_histogram(answers, schema),
            limits={},
            time="2026-01-01T00:00:00Z",
        )
    )


def _release(models: ModelRegistry, bundle: str, codec: str, table: str | None) -> Release:
    found = models.bundle(bundle)
    release = models.create_release(
        Release(
            model=models.name,
            bundle=bundle,
            bundle_digest=found.digest,
            variant="float32",
            codec=codec_named(codec, found.schema).to_json(),
            table=table,
            gate=[],
            time=now_text(),
        )
    )
    label = models.label()
    label.move(release.number, after=label.head(), reason="a test needs it")
    return release
