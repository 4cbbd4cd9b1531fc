"""Training end to end on tiny definitions: export, resume after a kill, and what is refused."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.definition import load_definition
from engine.errors import BadArtifact, BadSettings, InvalidInput, NotFound, Refused
from engine.feature import Categorical, Tensor
from engine.inputs import Inputs
from engine.output import Output, OutputSchema
from engine.registry import Registry
from engine.space import FeatureSpace
from jobs.checkpoint import Checkpoint, epochs_of, latest_checkpoint, read_checkpoint
from jobs.train import TrainJob, main, train

pytestmark = pytest.mark.tensorflow

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "tests/support/definitions/tiny.py"
NUMBERS = ROOT / "tests/support/definitions/tiny_numbers.py"

# The process dies in the middle of writing its third checkpoint, by a signal it cannot see.
KILLED_AT_THIRD = """
import os, signal, sys
from engine.storage import Storage
from jobs import train
create_with = Storage.create_with
def create_or_die(storage, path, write):
    def half(file):
        file.write(b"half a checkpoint")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    create_with(storage, path, half if path.endswith("checkpoint-000003.npz") else write)
Storage.create_with = create_or_die
sys.exit(train.main(sys.argv[1:]))
"""


def job(definition: Path = TINY, **settings: Any) -> TrainJob:
    return TrainJob(definition=str(definition), quiet=True, **settings)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """A registry with run ``a`` of the tiny definition, trained in one go."""
    registry = Registry(str(tmp_path_factory.mktemp("undisturbed")))
    train(registry, job(run="a"))
    return registry


@pytest.fixture
def stopped(tmp_path: Path, undisturbed: Registry) -> Registry:
    """A copy in which run ``a`` was stopped after two epochs, with no bundle."""
    registry = Registry(str(tmp_path / "registry"))
    folder = tmp_path / "registry/tiny/runs/a"
    folder.mkdir(parents=True)
    for epoch in (1, 2):
        shutil.copy(files(undisturbed, "a")[epoch - 1], folder)
    return registry


def files(registry: Registry, run: str) -> list[Path]:
    return sorted(Path(registry.url.removeprefix("file://"), "tiny/runs", run).glob("*.npz"))


def checkpoint(registry: Registry, epoch: int) -> Checkpoint:
    return read_checkpoint(registry.storage, "tiny/runs/a", epoch)


def edited(folder: Path, before: str, after: str) -> Path:
    """Write the tiny definition with one change."""
    source = TINY.read_text(encoding="utf-8")
    assert source.count(before) == 1
    path = folder / "edited.py"
    path.write_text(source.replace(before, after), encoding="utf-8")
    return path


def test_bundle_is_the_best_epoch_and_answers_alike_at_every_batch_size(undisturbed: Registry) -> None:
    models = undisturbed.model("tiny")
    (identity,) = models.bundles()
    bundle = models.bundle(identity)
    assert len(epochs_of(undisturbed.storage, "tiny/runs/a")) == 5
    history = bundle.manifest["training"]["history"]
    losses = [entry["validation_loss"] for entry in history]
    assert losses[-1] < losses[0]
    assert bundle.manifest["training"]["best_epoch"] == 1 + losses.index(min(losses))
    assert bundle.space.fingerprint == load_definition(str(TINY)).space.fingerprint
    metrics = bundle.manifest["metrics"]
    assert set(metrics) == {
        "bought.log_loss",
        "bought.auc",
        "bought.calibration_error",
        "share.mean_absolute_error",
        "share.root_mean_squared_error",
    }
    assert metrics["bought.auc"] > 0.6
    assert sum(bundle.manifest["histogram"]["bought"][0]) == 700

    runtime = bundle.runtime()
    inputs, answers = bundle.golden()
    assert len(inputs) == 64
    unknown_size = [row for row in bundle.golden_rows()[0] if row["size"] == 4]
    assert unknown_size, "golden rows must hold unknown categories as they came"
    for size in (1, 32, 1024):
        again = [runtime.infer(inputs.take(slice(start, start + size))) for start in range(0, 64, size)]
        assert np.concatenate(again).tobytes() == answers.tobytes()


def test_bundle_answers_as_its_keras_model(undisturbed: Registry) -> None:
    models = undisturbed.model("tiny")
    bundle = models.bundle(models.bundles()[0])
    definition = load_definition(str(TINY))
    model = definition.build()
    saved = checkpoint(undisturbed, bundle.manifest["training"]["best_epoch"])
    for variable, array in zip(model.variables, saved.arrays, strict=False):
        variable.assign(array)
    inputs, answers = bundle.golden()
    outputs = model(dict(zip(bundle.space.names, inputs.index, strict=True)), training=False)
    wanted = np.concatenate([outputs["bought"], outputs["share"]], axis=1)
    np.testing.assert_allclose(answers, wanted, atol=1e-5)


def test_a_model_with_large_weights_has_an_int8_variant_too(tmp_path: Path) -> None:
    path = edited(tmp_path, 'Dense(8, "relu")', 'Dense(128, "relu")')
    lines: list[str] = []
    done = train(Registry(str(tmp_path / "registry")), job(path, epochs=1), lines.append)
    assert not any("int8" in line for line in lines)
    bundle = Registry(str(tmp_path / "registry")).model("tiny").bundle(done.bundle)
    assert bundle.variants == ("float32", "int8")
    sizes = {name: entry["size_bytes"] for name, entry in bundle.manifest["files"].items()}
    assert sizes["model.float32.tflite"] - sizes["model.int8.tflite"] > 3 * 12 * 128 - 2048  # 3 of 4 bytes a weight
    inputs, answers = bundle.golden()
    stored, runtime = bundle.golden_answers("int8"), bundle.runtime("int8")
    assert stored is not None
    for size in (1, 32, 1024):
        again = [runtime.infer(inputs.take(slice(start, start + size))) for start in range(0, 64, size)]
        assert np.concatenate(again).tobytes() == stored.tobytes()
    assert 0 < np.abs(stored - answers).max() < 0.05


def test_a_model_that_int8_makes_no_smaller_keeps_float32_and_the_log_says_why(tmp_path: Path) -> None:
    lines: list[str] = []
    done = train(Registry(str(tmp_path)), job(epochs=1), lines.append)
    bundle = Registry(str(tmp_path)).model("tiny").bundle(done.bundle)
    assert bundle.variants == ("float32",)
    assert lines[-1].startswith("no int8 variant: an int8 model must be smaller than its float32 one; got ")
    assert bundle.manifest["training"]["left_out"] == {"int8": lines[-1].removeprefix("no int8 variant: ")}
    assert bundle.golden_answers("int8") is None


def test_numbers_and_tensors_train_and_export(tmp_path: Path) -> None:
    done = train(Registry(str(tmp_path)), job(NUMBERS))
    bundle = Registry(str(tmp_path)).model("tiny-numbers").bundle(done.bundle)
    inputs, answers = bundle.golden()
    assert inputs.tensors[0].shape == (64, 2, 3)
    assert inputs.number.shape == (2, 64)
    assert bundle.runtime().infer(inputs).tobytes() == answers.tobytes()
    assert set(done.metrics) == {"cost.mean_absolute_error", "cost.root_mean_squared_error"}


def test_killed_run_resumes_to_the_bits_of_an_undisturbed_one(tmp_path: Path, undisturbed: Registry) -> None:
    registry = Registry(str(tmp_path))
    arguments = [str(TINY), "--registry", str(tmp_path), "--run", "a", "--json"]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_AT_THIRD, *arguments], cwd=ROOT, check=False, timeout=120, capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert epochs_of(registry.storage, "tiny/runs/a") == [1, 2]
    assert registry.model("tiny").bundles() == []

    lines: list[str] = []
    done = train(registry, job(run="a", resume=True), lines.append)
    assert lines[0] == "run a: resumed after epoch 2"
    for epoch in (3, 4, 5):
        one, other = checkpoint(registry, epoch), checkpoint(undisturbed, epoch)
        assert one.names == other.names
        assert [array.tobytes() for array in one.arrays] == [array.tobytes() for array in other.arrays]
        assert one.history == other.history
    (before,) = undisturbed.model("tiny").bundles()
    after = registry.model("tiny").bundle(done.bundle).manifest["files"]
    assert after == undisturbed.model("tiny").bundle(before).manifest["files"]


def test_newest_run_resumes_without_its_name(stopped: Registry) -> None:
    assert train(stopped, job(resume=True, epochs=2)).run == "a"


def test_resume_of_a_run_without_checkpoints_starts_anew(tmp_path: Path) -> None:
    assert train(Registry(str(tmp_path)), job(run="b", resume=True, epochs=1)).epochs == 1


def test_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no run to resume"):
        train(Registry(str(tmp_path)), job(resume=True))


def test_existing_run_is_not_trained_over(stopped: Registry) -> None:
    with pytest.raises(BadSettings, match="run 'a' of model 'tiny' exists: add --resume"):
        train(stopped, job(run="a"))


def test_resume_is_refused_after_the_space_changed(stopped: Registry, tmp_path: Path) -> None:
    other = edited(tmp_path, "(10.0, 20.0, 30.0, 40.0)", "(10.0, 20.0, 30.0)")
    before, after = (load_definition(str(path)).space.fingerprint for path in (TINY, other))
    with pytest.raises(BadSettings, match=f"feature space of fingerprint {before}.* got {after}"):
        train(stopped, job(other, run="a", resume=True))
    assert len(files(stopped, "a")) == 2


@pytest.mark.parametrize(
    "before, after, named",
    [
        ("examples(2000, 1)", "examples(1999, 1)", "training data"),
        ("batch_rows=256", "batch_rows=128", "batch_rows 256"),
        ('Output("bought")', 'Output("bought", range=(0.0, 2.0))', "outputs"),
        ('Dense(8, "relu")', 'Dense(9, "relu")', r"build the model that it was stopped with; got \('dense.*9"),
    ],
)
def test_resume_is_refused_after_a_change(
    stopped: Registry, tmp_path: Path, before: str, after: str, named: str
) -> None:
    with pytest.raises(BadSettings, match=named):
        train(stopped, job(edited(tmp_path, before, after), run="a", resume=True))


def test_damaged_checkpoint_is_refused_and_the_one_before_resumes(stopped: Registry) -> None:
    path = files(stopped, "a")[-1]
    data = bytearray(path.read_bytes())
    for place in (0, 40, 5000, -40, -1):
        data[place] ^= 1
        path.write_bytes(data)
        with pytest.raises(BadArtifact, match=r"checkpoint-000002\.npz: must have the SHA-256 .*remove it"):
            latest_checkpoint(stopped.storage, "tiny/runs/a")
        data[place] ^= 1
    path.write_bytes(data[:-100])
    with pytest.raises(BadArtifact, match="remove it"):
        train(stopped, job(run="a", resume=True))
    path.unlink()
    lines: list[str] = []
    train(stopped, job(run="a", resume=True, epochs=2), lines.append)
    assert lines[0] == "run a: resumed after epoch 1"


def test_diverging_model_is_refused(tmp_path: Path) -> None:
    path = edited(tmp_path, '"share": "mse"', '"share": lambda y, p: keras.ops.mean(p / 0.0)')
    with pytest.raises(Refused, match="validation loss of epoch 1 must be finite"):
        train(Registry(str(tmp_path / "registry")), job(path))
    assert Registry(str(tmp_path / "registry")).model("tiny").bundles() == []


def test_data_that_does_not_belong_is_refused(tmp_path: Path) -> None:
    path = edited(tmp_path, "np.array(COLOURS)[colour]", 'np.array((*COLOURS[:3], "pink"))[colour]')
    with pytest.raises(InvalidInput, match=r"fewer than 1% of the rows may be bad; got .*'pink'"):
        train(Registry(str(tmp_path / "registry")), job(path))


def test_few_bad_rows_are_left_out_and_reported(tmp_path: Path) -> None:
    path = edited(tmp_path, '"price": price,', '"price": np.where(np.arange(rows) == 5, np.nan, price),')
    lines: list[str] = []
    done = train(Registry(str(tmp_path / "registry")), job(path, epochs=1), lines.append)
    assert done.dropped_rows == 3
    assert lines[0].startswith("train: left out 1 bad rows of 2,000, e.g. row 5: ")


def test_program_prints_one_line_of_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import json

    assert main([str(TINY), "--registry", str(tmp_path), "--epochs", "1", "--json"]) == 0
    fields = json.loads(capsys.readouterr().out)
    assert fields["epochs"] == 1
    assert fields["model"] == "tiny"


def test_program_ends_with_64_where_there_is_no_definition(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.py"), "--registry", str(tmp_path)]) == 64
    assert "does not exist" in capsys.readouterr().err


INDEX = FeatureSpace([Categorical("a", tuple("abcd")), Categorical("b", tuple("xyz"))])
STEPS = FeatureSpace([Tensor("steps", (4, 3))])
SCHEMA = OutputSchema([Output("y", width=2)])


def over(space: FeatureSpace, between: Any) -> Any:
    """A model whose one output is a dense layer on what ``between`` makes of the inputs."""
    import keras

    shapes = {feature.name: getattr(feature, "shape", ()) for feature in space.features}
    kinds = {name: "float32" if shape else "int32" for name, shape in shapes.items()}
    inputs = {name: keras.Input(shape, dtype=kinds[name], name=name) for name, shape in shapes.items()}
    return keras.Model(inputs, {"y": keras.layers.Dense(2)(between(list(inputs.values())))})


def sample(space: FeatureSpace, rows: int = 3) -> Inputs:
    if space is STEPS:
        steps = np.random.default_rng(0).normal(size=(rows, 4, 3)).astype(np.float32)
        return Inputs(np.zeros((0, rows), np.int32), np.zeros((0, rows), np.float32), (steps,))
    return INDEX.inputs_of(0, rows)


def export(space: FeatureSpace, between: Any) -> None:
    from jobs.export import Converter
    from jobs.export_check import check_export

    model = over(space, between)
    check_export(Converter(model, space, SCHEMA).convert(), model, space, SCHEMA, sample(space))


def embedded(inputs: list[Any]) -> Any:
    from keras import layers

    return layers.Concatenate()([layers.Embedding(4, 5)(one) for one in inputs])


def test_hash_layer_is_refused_by_the_name_of_its_op(capfd: pytest.CaptureFixture[str]) -> None:
    from keras import layers

    with pytest.raises(Refused, match=r"got AsString, StringToHashBucketFast. Instead: .* declare a Categorical"):
        export(INDEX, lambda inputs: layers.Embedding(9, 2)(layers.Hashing(9)(inputs[0])))
    assert capfd.readouterr().err == ""


def test_lookup_layer_is_refused_by_the_name_of_its_op() -> None:
    from keras import layers

    with pytest.raises(Refused, match=r"HashTableV2, .*Instead: .* declare a Categorical"):
        export(INDEX, lambda inputs: layers.Embedding(9, 2)(layers.IntegerLookup(vocabulary=[1, 2])(inputs[0])))


@pytest.mark.parametrize("layer", ["LSTM", "GRU"])
def test_recurrent_layer_is_refused_unless_unrolled(layer: str) -> None:
    from keras import layers

    with pytest.raises(Refused, match=r"got TensorListReserve. Instead: recurrent layers .* unroll=True"):
        export(STEPS, lambda inputs: getattr(layers, layer)(5)(inputs[0]))
    export(STEPS, lambda inputs: getattr(layers, layer)(5, unroll=True)(inputs[0]))


def test_model_that_mixes_rows_is_refused() -> None:
    import keras

    class LessMean(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x - keras.ops.mean(x, axis=0, keepdims=True)

    with pytest.raises(Refused, match=r"alike whatever rows stand beside it; got .* It mixes rows"):
        export(INDEX, lambda inputs: LessMean()(embedded(inputs)))


def test_attention_over_the_batch_is_refused() -> None:
    import keras

    class OverBatch(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return keras.ops.matmul(keras.ops.softmax(keras.ops.matmul(x, keras.ops.transpose(x))), x)

    with pytest.raises(Refused, match="It mixes rows"):
        export(INDEX, lambda inputs: OverBatch()(embedded(inputs)))


def test_int8_model_whose_rows_depend_on_their_neighbours_is_refused() -> None:
    """A sound float32 model stands for one that the conversion spoiled: the int8 file is of another model."""
    import keras

    from jobs.export import Converter
    from jobs.export_check import check_int8

    class LessMean(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x - keras.ops.mean(x, axis=0, keepdims=True)

    def wide(inputs: list[Any]) -> Any:
        return keras.layers.Dense(256)(embedded(inputs))

    sound = Converter(over(INDEX, wide), INDEX, SCHEMA)
    float32 = sound.convert()
    check_int8(sound.convert("int8"), float32, INDEX, SCHEMA, sample(INDEX))
    spoiled = Converter(over(INDEX, lambda inputs: LessMean()(wide(inputs))), INDEX, SCHEMA).convert("int8")
    with pytest.raises(Refused, match="It mixes rows"):
        check_int8(spoiled, float32, INDEX, SCHEMA, sample(INDEX))


def test_answer_that_is_not_finite_is_refused() -> None:
    import keras

    class Inverse(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return 1.0 / keras.ops.cast(x, "float32")[:, None]

    with pytest.raises(Refused, match=r"must answer finite numbers; got .* for the encoded row \{'a': 0"):
        export(INDEX, lambda inputs: Inverse()(inputs[0]))


def test_outputs_that_are_not_those_declared_are_refused() -> None:
    from jobs.export import check_signature

    model = over(INDEX, embedded)
    with pytest.raises(Refused, match=r"must give a dict of outputs of shapes \{'z': \(None, 2\)\}; got \{'y'"):
        check_signature(model, INDEX, OutputSchema([Output("z", width=2)]))
    with pytest.raises(Refused, match="must take a dict of steps; got"):
        check_signature(model, STEPS, SCHEMA)
