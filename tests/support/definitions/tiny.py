"""Two outputs over a finite space of three features; with dropout, so that a resume must bring back random states."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from engine.definition import Definition, Examples, TrainSettings
from engine.feature import Bucketed, Categorical, Unknown
from engine.output import Output
from engine.space import FeatureSpace

COLOURS = ("red", "green", "blue", "żółty")
SIZES = ("1", "2", "3")


def examples(rows: int, seed: int) -> pa.Table:
    random = np.random.default_rng(seed)
    colour, size = random.integers(0, 4, rows), random.integers(0, 4, rows)  # size 4 is in no vocabulary
    price = random.uniform(0, 50, rows).astype(np.float32)
    chance = 1 / (1 + np.exp(-(colour - 1.5 + (size == 1) - price / 25)))
    share = np.stack([np.tanh(price / 50), np.tanh(colour / 3 - 0.5)], axis=1).astype(np.float32)
    return pa.table(
        {
            "colour": np.array(COLOURS)[colour],
            "size": size + 1,
            "price": price,
            "bought": (random.random(rows) < chance).astype(np.float32),
            "share": pa.FixedSizeListArray.from_arrays(pa.array(share.reshape(-1)), 2),
            "ignored": random.random(rows),
        }
    )


class Tiny(Definition):
    name = "tiny"
    space = FeatureSpace(
        [
            Categorical("colour", COLOURS),
            Categorical("size", SIZES, unknown=Unknown.MODEL),
            Bucketed("price", (10.0, 20.0, 30.0, 40.0)),
        ]
    )
    outputs = (Output("bought"), Output("share", width=2, range=(-1.0, 1.0)))
    settings = TrainSettings(epochs=5, batch_rows=256, patience=5, seed=3)

    def build(self) -> Any:
        import keras
        from keras import layers

        inputs = {name: keras.Input((), dtype="int32", name=name) for name in self.space.names}
        parts = [layers.Embedding(f.cardinality, 4)(inputs[f.name]) for f in self.space.index_features]
        hidden = layers.Dense(8, "relu")(layers.Concatenate()(parts))
        hidden = layers.Dropout(0.1)(hidden)
        outputs = {
            "bought": layers.Dense(1, "sigmoid", name="bought")(hidden),
            "share": layers.Dense(2, "tanh", name="share")(hidden),
        }
        model = keras.Model(inputs, outputs)
        model.compile(keras.optimizers.Adam(0.01), loss={"bought": "binary_crossentropy", "share": "mse"})
        return model

    def examples(self, source: str) -> Examples:
        return Examples(train=examples(2000, 1), holdout=examples(700, 2), validation=examples(500, 3))


definition = Tiny()
