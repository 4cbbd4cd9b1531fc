"""The protocol's datatypes, in Arrow's and numpy's terms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.feature import Categorical, Feature

FP32 = "FP32"
BYTES = "BYTES"


@dataclass(frozen=True)
class Datatype:
    """One datatype.

    Attributes:
        name: the protocol's.
        dtype: of an element, little-endian as binary tensor data is; None for ``BYTES``, whose elements vary in length.
        json: the Python types that a JSON element of it may have.
        called: what these are, for an error's message.
    """

    name: str
    dtype: npt.DTypeLike | None
    json: frozenset[type]
    called: str


def _datatypes() -> dict[str, Datatype]:
    integers = {
        f"{sign}INT{bits}": f"<{code}{bits // 8}" for sign, code in (("", "i"), ("U", "u")) for bits in (8, 16, 32, 64)
    }
    floats = {f"FP{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)}
    found = [
        Datatype("BOOL", np.bool_, frozenset({bool}), "booleans"),
        *(Datatype(name, code, frozenset({int}), "integers") for name, code in integers.items()),
        *(Datatype(name, code, frozenset({int, float}), "numbers") for name, code in floats.items()),
        Datatype(BYTES, None, frozenset({str}), "texts"),
    ]
    return {datatype.name: datatype for datatype in found}


DATATYPES = _datatypes()


def datatype_of(feature: Feature) -> str:
    """Return the name of the datatype to send for a feature; others that mean the same are taken too."""
    return BYTES if isinstance(feature, Categorical) else FP32
