"""A space that is not finite: two numbers, a category and a tensor; the holdout decides when to stop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from engine.definition import Definition, Examples, TrainSettings
from engine.feature import Categorical, Number, Tensor
from engine.output import Output
from engine.space import FeatureSpace


def examples(rows: int, seed: int) -> pa.Table:
    random = np.random.default_rng(seed)
    vector = random.normal(size=(rows, 6)).astype(np.float32)
    price = random.normal(size=rows).astype(np.float32)
    return pa.table(
        {
            "price": price,
            "kind": random.integers(0, 2, rows),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vector.reshape(-1)), 6),
            "weight": random.integers(0, 9, rows),
            "cost": (price + vector.sum(axis=1)).astype(np.float32),
        }
    )


class TinyNumbers(Definition):
    name = "tiny-numbers"
    space = FeatureSpace([Number("price"), Categorical("kind", ("0", "1")), Tensor("vector", (2, 3)), Number("weight")])
    outputs = (Output("cost", range=(-10.0, 10.0)),)
    settings = TrainSettings(epochs=2, batch_rows=128, seed=3)

    def build(self) -> Any:
        import keras
        from keras import layers

        inputs = {
            "price": keras.Input((), name="price"),
            "kind": keras.Input((), dtype="int32", name="kind"),
            "vector": keras.Input((2, 3), name="vector"),
            "weight": keras.Input((), name="weight"),
        }
        parts = [
            layers.Reshape((1,))(inputs["price"]),
            layers.Embedding(2, 2)(inputs["kind"]),
            layers.Flatten()(inputs["vector"]),
            layers.Reshape((1,))(inputs["weight"]),
        ]
        hidden = layers.Dense(8, "relu")(layers.BatchNormalization()(layers.Concatenate()(parts)))
        model = keras.Model(inputs, {"cost": layers.Dense(1, name="cost")(hidden)})
        model.compile("adam", loss="mse")
        return model

    def examples(self, source: str) -> Examples:
        return Examples(train=examples(1000, 1), holdout=examples(200, 2))


definition = TinyNumbers()
