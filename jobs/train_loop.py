"""The training loop: epochs over arrays in memory, a checkpoint after each, stopped by the validation loss.

It calls the model's own ``train_step`` and ``test_step``, so a definition may override them. Rows are gathered inside
the compiled step: Keras's ``fit`` spends more time on feeding rows than a small net does on learning from them.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.definition import TrainSettings
from engine.errors import BadSettings, Refused
from engine.output import OutputSchema
from engine.space import FeatureSpace
from engine.storage import Storage
from jobs.checkpoint import Checkpoint, Identity, latest_checkpoint, read_checkpoint, write_checkpoint
from jobs.train_data import LabelledRows, by_feature, by_output

# A step of the validation: nothing is learned from it, so it is as long as is quick.
_VALIDATION_ROWS = 8192

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is first loaded


@dataclass(frozen=True, kw_only=True)
class EpochDone:
    """What is told after each epoch.

    Attributes:
        epoch: from 1 up.
        epochs: at most so many.
        loss: mean over the training rows while they were learned.
        validation_loss: after it.
        best: whether it is the lowest so far.
        seconds: of training and validation.
    """

    epoch: int
    epochs: int
    loss: float
    validation_loss: float
    best: bool
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Run:
    """Where a run's checkpoints are, and what it must be to go on.

    Attributes:
        storage: the registry's.
        folder: of the run.
        identity: what a resumed run must share.
        definition: the SHA-256 of the definition's file.
        settings: how long and in which steps.
    """

    storage: Storage
    folder: str
    identity: Identity
    definition: str
    settings: TrainSettings


class Trainer:
    """One run's model and data, on TensorFlow's side."""

    def __init__(self, model: Any, space: FeatureSpace, schema: OutputSchema, run: Run) -> None:
        """Take a built model.

        Raises:
            BadSettings: it is not compiled.
        """
        self.model, self._space, self._schema, self._run = model, space, schema, run
        if getattr(model, "optimizer", None) is None:
            message = "the model that build() returns must be compiled; got one without an optimizer. Call compile()"
            raise BadSettings(message)
        model.optimizer.build(model.trainable_variables)
        self._checkpoint: Checkpoint | None = None

    @property
    def history(self) -> list[dict[str, float]]:
        """One entry per epoch done."""
        return self._checkpoint.history if self._checkpoint else []

    @property
    def best_epoch(self) -> int:
        """The epoch of the lowest validation loss; 0 before the first."""
        return self._checkpoint.best_epoch if self._checkpoint else 0

    def resume(self) -> int:
        """Go back to the run's last checkpoint and return its epoch; 0 where there is none yet.

        Raises:
            BadSettings: the space, the data or the settings changed since.
            BadArtifact: the checkpoint is damaged.
        """
        found = latest_checkpoint(self._run.storage, self._run.folder)
        if found is None:
            return 0
        found.check_identity(self._run.identity, where=self._run.folder)
        self._restore(found)
        self._checkpoint = found
        return found.epoch

    def fit(
        self,
        train: LabelledRows,
        validation: LabelledRows,
        *,
        advance: Callable[[int], object],
        report: Callable[[EpochDone], object],
    ) -> None:
        """Train until the epochs are done or the patience is, and take the best epoch's weights.

        Args:
            train: what to learn from.
            validation: what decides when to stop.
            advance: told how many rows were learned since it was last told.
            report: told after each epoch.

        Raises:
            Refused: the loss is not finite.
        """
        settings = self._run.settings
        learn = self._compiled(self.model.train_step, train)
        judge = self._compiled(self.model.test_step, validation)
        while self._is_unfinished():
            epoch = len(self.history) + 1
            started = time.monotonic()
            order = np.random.default_rng((settings.seed, epoch)).permutation(len(train))
            loss = self._pass(learn, order, settings.batch_rows, advance)
            validation_loss = self._pass(judge, np.arange(len(validation)), _VALIDATION_ROWS, lambda _: None)
            if not math.isfinite(validation_loss):
                message = (
                    f"the validation loss of epoch {epoch} must be finite; got {validation_loss}. "
                    "Lower the learning rate, clip gradients, or scale the number features"
                )
                raise Refused(message)
            best = self._keep(epoch, loss, validation_loss)
            report(
                EpochDone(
                    epoch=epoch,
                    epochs=settings.epochs,
                    loss=loss,
                    validation_loss=validation_loss,
                    best=best,
                    seconds=time.monotonic() - started,
                )
            )
        if self.best_epoch not in {0, len(self.history)}:
            self._restore(read_checkpoint(self._run.storage, self._run.folder, self.best_epoch))

    def _is_unfinished(self) -> bool:
        done = len(self.history)
        return done < self._run.settings.epochs and done - self.best_epoch < self._run.settings.patience

    def _compiled(self, step: Callable[[Any], Any], rows: LabelledRows) -> Callable[[Any], Any]:
        """Return a compiled function of row numbers (int64) that runs ``step`` on those rows."""
        import tensorflow as tf

        with tf.device("CPU:0"):
            features = {name: tf.constant(column) for name, column in by_feature(rows.inputs, self._space).items()}
            targets = {name: tf.constant(column) for name, column in by_output(rows.labels, self._schema).items()}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int64)])
        def run(numbers: Any) -> Any:  # tensors
            chosen = [{name: tf.gather(column, numbers) for name, column in d.items()} for d in (features, targets)]
            return step(tuple(chosen))

        return run  # type: ignore[no-any-return]

    def _pass(self, step: Callable[[Any], Any], order: Any, batch_rows: int, advance: Callable[[int], object]) -> float:
        """Run one step after the other over all rows and return the mean loss."""
        self.model.reset_metrics()
        metrics: dict[str, Any] = {}
        for start in range(0, len(order), batch_rows):
            numbers = order[start : start + batch_rows]
            metrics = step(numbers)
            advance(len(numbers))
        return float(metrics["loss"])

    def _variables(self) -> list[Any]:
        return [*self.model.variables, *self.model.optimizer.variables]

    def _keep(self, epoch: int, loss: float, validation_loss: float) -> bool:
        """Write the epoch's checkpoint; return whether it is the best so far."""
        before = self._checkpoint
        best_epoch, best_loss = epoch, validation_loss
        if before is not None and before.best_loss <= validation_loss:
            best_epoch, best_loss = before.best_epoch, before.best_loss
        variables = self._variables()
        self._checkpoint = Checkpoint(
            epoch=epoch,
            best_epoch=best_epoch,
            best_loss=best_loss,
            history=[*self.history, {"epoch": epoch, "loss": loss, "validation_loss": validation_loss}],
            identity=self._run.identity,
            definition=self._run.definition,
            names=[_name(variable) for variable in variables],
            arrays=[variable.numpy() for variable in variables],
        )
        write_checkpoint(self._run.storage, self._run.folder, self._checkpoint)
        return best_epoch == epoch

    def _restore(self, checkpoint: Checkpoint) -> None:
        variables = self._variables()
        before = [(name, array.shape) for name, array in zip(checkpoint.names, checkpoint.arrays, strict=True)]
        now = [(_name(variable), tuple(variable.shape)) for variable in variables]
        if before != now:
            pairs = (pair for pair in zip(before, now, strict=False) if pair[0] != pair[1])
            kept, built = next(pairs, (len(before), len(now)))
            message = (
                f"{self._run.folder}: a resumed run must build the model that it was stopped with; got {built} where "
                f"the checkpoint has {kept}. Go back to that build(), or start a new run: leave out --resume"
            )
            raise BadSettings(message)
        for variable, array in zip(variables, checkpoint.arrays, strict=True):
            variable.assign(array)


def _name(variable: Any) -> str:  # a keras.Variable
    return str(variable.path)
