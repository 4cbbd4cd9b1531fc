"""What people use today to score Parquet with a model, each at its best: the peers of the scoring job.

All read the same files, answer by the same net and write an id and an answer a row. A model is loaded once a worker.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from bench.batch_data import FEATURES
from bench.net import FILE, KERAS_FILE

# Where LiteRT's and TensorFlow's rates have levelled off; fewer rows are slower, more no faster.
BATCH_ROWS = 4096
Predict = Callable[..., npt.NDArray[np.float32]]


def litert_predict() -> Predict:
    """Load the net into LiteRT; return a function of the six columns."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(FILE), num_threads=1)
    (given,) = interpreter.get_input_details()
    (output,) = interpreter.get_output_details()
    bound = 0

    def predict(*columns: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
        nonlocal bound
        index = np.stack(columns, axis=1).astype(np.int32, copy=False)
        if len(index) != bound:
            interpreter.resize_tensor_input(given["index"], index.shape)
            interpreter.allocate_tensors()
            bound = len(index)
        interpreter.set_tensor(given["index"], index)
        interpreter.invoke()
        answers: npt.NDArray[np.float32] = interpreter.get_tensor(output["index"])[:, 0]
        return answers

    return predict


def tensorflow_predict() -> Predict:
    """Load the net into TensorFlow; return a function of the six columns."""
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = keras.saving.load_model(str(KERAS_FILE), compile=False)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def answer(given: dict[str, Any]) -> Any:
        return model(given, training=False)["on_time"]

    def predict(*columns: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
        named = {name: tf.constant(column, tf.int32) for name, column in zip(FEATURES, columns, strict=True)}
        answers: npt.NDArray[np.float32] = answer(named).numpy()[:, 0]
        return answers

    return predict


def predict_batch_udf(session: Any, source: Path, target: Path, load: Callable[[], Predict]) -> None:
    """Score by ``pyspark.ml.functions.predict_batch_udf``."""
    from pyspark.ml.functions import predict_batch_udf as make_udf
    from pyspark.sql.types import FloatType

    def load_for_spark() -> Predict:
        predict = load()

        def of_columns(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any) -> Any:  # Spark counts the parameters
            return predict(a, b, c, d, e, f)

        return of_columns

    udf = make_udf(load_for_spark, return_type=FloatType(), batch_size=BATCH_ROWS)
    rows = session.read.parquet(str(source))
    rows.select("id", udf(*FEATURES).alias("on_time")).write.parquet(str(target))


def map_in_arrow(session: Any, source: Path, target: Path) -> None:
    """Score by ``DataFrame.mapInArrow`` and LiteRT."""

    def score(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        predict = litert_predict()
        for batch in batches:
            columns = [batch.column(name).to_numpy() for name in FEATURES]
            answers = [
                predict(*(column[at : at + BATCH_ROWS] for column in columns))
                for at in range(0, batch.num_rows, BATCH_ROWS)
            ]
            yield pa.RecordBatch.from_arrays(
                [batch.column("id"), pa.array(np.concatenate(answers))], names=["id", "on_time"]
            )

    rows = session.read.parquet(str(source)).select("id", *FEATURES)
    rows.mapInArrow(score, "id long, on_time float").write.parquet(str(target))


def bare(source: Path, target: Path, processes: int) -> None:
    """Score by bare processes: pyarrow reads, LiteRT answers, pyarrow writes, nothing is checked."""
    target.mkdir()
    files = sorted(source.iterdir())
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("forkserver")) as pool:
        list(pool.map(_bare_file, files, [target / file.name for file in files]))


def _bare_file(source: Path, target: Path) -> None:
    predict = litert_predict()
    file = pq.ParquetFile(source)
    schema = pa.schema([("id", pa.int64()), ("on_time", pa.float32())])
    with pq.ParquetWriter(target, schema) as writer:
        for batch in file.iter_batches(1 << 15, columns=["id", *FEATURES], use_threads=False):
            columns = [batch.column(name).to_numpy() for name in FEATURES]
            answers = [
                predict(*(column[at : at + BATCH_ROWS] for column in columns))
                for at in range(0, batch.num_rows, BATCH_ROWS)
            ]
            writer.write_batch(
                pa.RecordBatch.from_arrays([batch.column("id"), pa.array(np.concatenate(answers))], schema=schema)
            )
