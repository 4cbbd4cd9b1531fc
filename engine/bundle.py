"""A bundle: one trained, immutable version of a model, and all that is needed to answer with it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import AlreadyExists, BadArtifact, BadSettings
from engine.inputs import Inputs
from engine.manifest import canonical_json, new_manifest, now_text, parse_manifest, seal, sha256
from engine.numeric_class import check_answers, numeric_class
from engine.output import OutputSchema
from engine.runtime import Runtime
from engine.space import FeatureSpace
from engine.storage import Storage

KIND, VERSION = "bundle", 1


@dataclass(frozen=True, kw_only=True)
class BundleContents:
    """What an export makes, before it has an id.

    Attributes:
        model: the model's name.
        space: its features.
        schema: its outputs.
        variants: variant name -> LiteRT flatbuffer.
        golden_rows: raw rows by feature name.
        golden_answers: float32 of shape (rows, width): the float32 variant's answers, before the codec.
        variant_answers: the other variants' answers to them, by name, each as ``golden_answers``.
        metrics: on the holdout, e.g. ``{"on_time.log_loss": 0.55}``.
        histogram: how the answers to the holdout spread: see ``engine.histogram``.
        limits: what the gate holds a candidate to: see ``engine.definition.GateLimits``.
        training: where it came from: run, definition, data, versions.
        time: of the export, UTC, ISO 8601.
    """

    model: str
    space: FeatureSpace
    schema: OutputSchema
    variants: Mapping[str, bytes]
    golden_rows: Sequence[Mapping[str, Any]]
    golden_answers: npt.NDArray[np.float32]
    metrics: Mapping[str, float]
    histogram: Mapping[str, Any]
    limits: Mapping[str, Any]
    training: Mapping[str, Any] = field(default_factory=dict)
    variant_answers: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    time: str = field(default_factory=now_text)


def write_bundle(storage: Storage, folder: str, contents: BundleContents) -> str:
    """Write a bundle under ``folder/<id>``, its manifest last; return the id. The same contents have the same id."""
    files = {f"model.{name}.tflite": data for name, data in contents.variants.items()}
    golden: dict[str, Any] = {
        "rows": [dict(row) for row in contents.golden_rows],
        "answers": contents.golden_answers.tolist(),
    }
    if contents.variant_answers:  # left out where there are none: such bundles keep the ids they had
        golden["variants"] = {name: answers.tolist() for name, answers in contents.variant_answers.items()}
    files["golden.json"] = canonical_json(golden)
    manifest = new_manifest(
        KIND,
        VERSION,
        model=contents.model,
        space=contents.space.to_json(),
        outputs=contents.schema.to_json(),
        variants={name: f"model.{name}.tflite" for name in contents.variants},
        files={name: {"size_bytes": len(data), "sha256": sha256(data)} for name, data in files.items()},
        numeric_class=numeric_class(contents.golden_answers),
        metrics=dict(contents.metrics),
        histogram=dict(contents.histogram),
        limits=dict(contents.limits),
        training=dict(contents.training),
        time=contents.time,
    )
    data = seal(manifest)
    identity = sha256(data)[:16]
    for name, content in {**files, "manifest.json": data}.items():
        try:
            storage.create(f"{folder}/{identity}/{name}", content)
        except AlreadyExists:  # the id is a digest of every byte, so what is there is the same
            continue
    return identity


class Bundle:
    """A bundle as read back.

    Attributes:
        identity: its id, the first 16 hex digits of the manifest's SHA-256.
        digest: the manifest's SHA-256, which covers every file's.
        manifest: all its fields.
        model: the model's name.
        space: the features.
        schema: the outputs.
        numeric_class: of the CPU that exported it.
        time: of the export, UTC, ISO 8601.
    """

    def __init__(self, storage: Storage, path: str) -> None:
        """Read and check the manifest of the bundle in directory ``path``.

        Raises:
            NotFound: there is none.
            BadArtifact: it is damaged, or of a version that is not known here.
        """
        self._storage, self.path = storage, path
        where = f"{path}/manifest.json"
        data = storage.read(where)
        self.manifest = parse_manifest(data, kind=KIND, version=VERSION, where=where)
        self.identity = path.rpartition("/")[2]
        self.digest = sha256(data)
        if self.digest[:16] != self.identity:
            message = f"{where}: must have a SHA-256 that begins with {self.identity}; got {self.digest}. Restore it"
            raise BadArtifact(message)
        self.model: str = self.manifest["model"]
        self.space = FeatureSpace.from_json(self.manifest["space"])
        self.schema = OutputSchema.from_json(self.manifest["outputs"])
        self.numeric_class: str = self.manifest["numeric_class"]
        self.time: str = self.manifest["time"]

    def file(self, name: str) -> bytes:
        """Return a file of the bundle.

        Raises:
            BadArtifact: its size or digest is not what the manifest says.
        """
        entry = self.manifest["files"][name]
        data = self._storage.read(f"{self.path}/{name}")
        if len(data) != entry["size_bytes"] or sha256(data) != entry["sha256"]:
            message = (
                f"{self.path}/{name}: must be {entry['size_bytes']} bytes of SHA-256 {entry['sha256'][:16]}…; "
                f"got {len(data)} bytes of {sha256(data)[:16]}…. The file is damaged: copy it again, or export again"
            )
            raise BadArtifact(message)
        return data

    def runtime(self, variant: str = "float32", *, threads: int = 1) -> Runtime:
        """Load a variant.

        Raises:
            BadSettings: there is none of that name.
            BadArtifact: its file is damaged.
        """
        variants: dict[str, str] = self.manifest["variants"]
        if variant not in variants:
            message = f"variant of bundle {self.identity} must be one of {', '.join(variants)}; got {variant!r}"
            raise BadSettings(message)
        model = self.file(variants[variant])
        where = f"{self.path}/{variants[variant]}"
        return Runtime(model, self.space, self.schema.width, threads=threads, where=where)

    def golden(self) -> tuple[Inputs, npt.NDArray[np.float32]]:
        """Return the golden rows, encoded, and their answers, float32 of shape (rows, width).

        Raises:
            BadArtifact: a golden row does not encode: the space and the rows are not of one export.
        """
        rows, answers = self.golden_rows()
        encoded = self.space.encode_rows(rows)
        if encoded.faults:
            message = f"{self.path}/golden.json: {next(iter(encoded.faults.values()))}. Export the bundle again"
            raise BadArtifact(message)
        return encoded.inputs, answers

    def golden_rows(self) -> tuple[list[dict[str, Any]], npt.NDArray[np.float32]]:
        """Return the golden rows as raw values, and their answers, float32 of shape (rows, width)."""
        fields = json.loads(self.file("golden.json"))
        return fields["rows"], np.array(fields["answers"], np.float32).reshape(-1, self.schema.width)

    def golden_answers(self, variant: str) -> npt.NDArray[np.float32] | None:
        """Return a variant's answers to the golden rows as ``golden_rows`` does; None where the bundle has none."""
        fields = json.loads(self.file("golden.json"))
        answers = fields["answers"] if variant == "float32" else fields.get("variants", {}).get(variant)
        return None if answers is None else np.array(answers, np.float32).reshape(-1, self.schema.width)

    @property
    def variants(self) -> tuple[str, ...]:
        """The names of its LiteRT models, ``float32`` first."""
        names: dict[str, str] = self.manifest["variants"]
        return tuple(sorted(names, key=lambda name: (name != "float32", name)))

    def check_numeric_class(self, runtime: Runtime) -> str:
        """Return this CPU's numeric class for the float32 variant, after holding its golden answers to the promise.

        Raises:
            BadArtifact: the answers are further off than another class may be.
        """
        inputs, wanted = self.golden()
        found = runtime.infer(inputs)
        here = numeric_class(found)
        check_answers(found, wanted, where=self.path, same_class=here == self.numeric_class)
        return here

    def check_variant(self, variant: str, runtime: Runtime, *, here: str) -> None:
        """Hold a variant's golden answers to those stored, to the bit, where this CPU is of the exporter's class.

        The numeric class is of the float32 variant: integer kernels are chosen by other instructions.

        Args:
            variant: its name.
            runtime: it, loaded.
            here: this CPU's numeric class.

        Raises:
            BadArtifact: an answer differs.
        """
        wanted = self.golden_answers(variant)
        if wanted is not None and here == self.numeric_class:
            found = runtime.infer(self.golden()[0])
            check_answers(found, wanted, where=f"{self.path}, {variant}", same_class=True)
