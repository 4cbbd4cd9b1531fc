"""What is served, described: TensorFlow Serving's model status and metadata."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.feature import Categorical, Feature, Tensor
from engine.output import Output
from online.predict_body import SIGNATURE
from online.served import Served, ServedHolder


def status(served: Sequence[Served]) -> dict[str, Any]:
    """Return TensorFlow Serving's model status: each release once, in the order of the labels."""
    releases = dict.fromkeys(str(each.release) for each in served)
    fine = {"error_code": "OK", "error_message": ""}
    return {
        "model_version_status": [{"version": version, "state": "AVAILABLE", "status": fine} for version in releases]
    }


def metadata(served: Served) -> dict[str, Any]:
    """Return TensorFlow Serving's model metadata, and what is Foretable's own under ``foretable``."""
    predictor = served.predictor
    definition = {
        "inputs": {feature.name: _input(feature) for feature in predictor.space.features},
        "outputs": {output.name: _output(output) for output in predictor.schema.outputs},
        "method_name": "tensorflow/serving/predict",
    }
    release = predictor.release
    return {
        "model_spec": {"name": served.model, "signature_name": "", "version": str(served.release)},
        "metadata": {"signature_def": {"signature_def": {SIGNATURE: definition}}},
        "foretable": {
            "release": served.release,
            "label": served.label,
            "label_record": served.record.number,
            "bundle": release.bundle,
            "bundle_digest": release.bundle_digest,
            "variant": release.variant,
            "codec": release.codec,
            "table": release.table,
            "released": release.time,
            "numeric_class": predictor.numeric_class,
            "same_numeric_class": predictor.same_numeric_class,
            **predictor.space.to_json(),
            "outputs": predictor.schema.to_json(),
        },
    }


def readiness(holder: ServedHolder) -> dict[str, Any]:
    """Return what is served at each label, and why a label cannot be followed where one cannot."""
    models: dict[str, dict[str, Any]] = {}
    for place in holder.checked:
        model, label = place
        served, problem = holder.current.get(place), holder.problems.get(place)
        found = {"release": served.release if served else None, **({"problem": problem} if problem else {})}
        models.setdefault(model, {})[label] = found
    return {"ready": True, "models": models}


def _input(feature: Feature) -> dict[str, Any]:
    kind = "DT_STRING" if isinstance(feature, Categorical) else "DT_FLOAT"
    return _tensor(feature.name, kind, feature.shape if isinstance(feature, Tensor) else ())


def _output(output: Output) -> dict[str, Any]:
    return _tensor(output.name, "DT_FLOAT", (output.width,) if output.width > 1 else ())


def _tensor(name: str, kind: str, shape: tuple[int, ...]) -> dict[str, Any]:
    dim = [{"size": str(length), "name": ""} for length in (-1, *shape)]
    return {"dtype": kind, "tensor_shape": {"dim": dim, "unknown_rank": False}, "name": f"{SIGNATURE}_{name}:0"}
