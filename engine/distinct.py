"""Distinct rows: a batch without its repetitions, so that the model is asked once for each row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from engine.inputs import Inputs
from engine.runtime import SHAPES

# Numbering the rows costs a fifth of a small model's time, for nothing where all rows differ. So a sample is looked at
# first. Of n rows in pairs, 5 * sqrt(n) at random places hold 12 pairs on average: fewer would miss them, more would
# cost what they save. Where one row in ten is a repetition they hold 2 or 3, which is too few to be worth it.
_SAMPLE = 5
_PAIRS = 6
_PLACES = np.random.default_rng(0).random(4096)
# Weights of a multilinear hash, whose high bits are universal. Larger rows (images) hardly ever repeat.
_WEIGHTS = np.random.default_rng(1).integers(2**64, size=1024, dtype=np.uint64)
# Eight slots a row: with fewer, more rows meet in one and take another round; more leave the cache.
_SLOT_BITS = 3


@dataclass(frozen=True)
class Distinct:
    """A batch without its repetitions.

    Attributes:
        inputs: the m distinct rows, in the order in which they come first.
        places: int64 of shape (n,): which of them each row of the batch is.
    """

    inputs: Inputs
    places: npt.NDArray[np.int64]


def distinct_rows(inputs: Inputs) -> Distinct | None:
    """Return the distinct rows of a batch, or None where asking for them would save too little, by a sample.

    Rows are equal when their bytes are: 0.0 is not -0.0, and a NaN is a NaN of the same bits.
    """
    rows = len(inputs)
    # What fits in one call costs one call, whatever it holds.
    if rows <= SHAPES[-1] or _words(inputs) > len(_WEIGHTS):
        return None
    if _sampled_pairs(inputs) < _PAIRS:
        return None
    first = _first_equal(inputs)
    kept = np.flatnonzero(first == np.arange(rows))
    places = np.empty(rows, np.int64)
    places[kept] = np.arange(len(kept))
    return Distinct(inputs.take(kept), places[first])


def _sampled_pairs(inputs: Inputs) -> int:
    """Return how many rows of a sample are there already."""
    hashes = np.sort(_hashes(inputs.take(_sample(len(inputs)))))
    return int(np.count_nonzero(hashes[1:] == hashes[:-1]))


@lru_cache(maxsize=16)  # chunks are of one size, and this is half of the time
def _sample(rows: int) -> npt.NDArray[np.int64]:
    """Return which of so many rows to look at, ascending."""
    size = min(math.ceil(_SAMPLE * math.sqrt(rows)), len(_PLACES))
    sample: npt.NDArray[np.int64] = np.unique((_PLACES[:size] * rows).astype(np.int64))
    return sample


def _first_equal(inputs: Inputs) -> npt.NDArray[np.int64]:
    """Return for each row the number of the first row that is equal to it, int64 of shape (n,)."""
    hashes = _hashes(inputs)
    bits = len(inputs).bit_length() + _SLOT_BITS
    slots = (hashes >> np.uint64(64 - bits)).astype(np.int64)
    owners = np.empty(1 << bits, np.int64)
    numbers = np.arange(len(inputs))
    owners[slots[::-1]] = numbers[::-1]  # of several, the last assigned stays: the first row
    first = owners[slots]
    pending = np.flatnonzero(hashes[first] != hashes)[::-1]
    while len(pending):  # a round settles all rows that are like the owner of their slot, as the first did most
        owners[slots[pending]] = pending
        found = owners[slots[pending]]
        same = hashes[found] == hashes[pending]
        first[pending[same]] = found[same]
        pending = pending[~same]
    repeated = np.flatnonzero(first != numbers)
    strangers = repeated[~_equal(inputs, repeated, first[repeated])]
    first[strangers] = strangers
    return first


def _hashes(inputs: Inputs) -> npt.NDArray[np.uint64]:
    """Return uint64 of shape (n,): each 32-bit word of a row times its weight, summed modulo 2^64."""
    hashes = np.zeros(len(inputs), np.uint64)
    used = 0
    for words in (inputs.index.view(np.uint32), inputs.number.view(np.uint32)):
        hashes += np.einsum("k,kn->n", _WEIGHTS[used : used + len(words)], words, dtype=np.uint64)
        used += len(words)
    for words in _tensor_words(inputs):
        hashes += np.einsum("k,nk->n", _WEIGHTS[used : used + words.shape[1]], words, dtype=np.uint64)
        used += words.shape[1]
    return hashes


def _equal(inputs: Inputs, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return which rows have the same bytes: numbers may have the same hash and not be the same."""
    equal = np.ones(len(left), bool)
    for column in (*inputs.index, *inputs.number):
        words = column.view(np.uint32)
        equal &= words[left] == words[right]
    for words in _tensor_words(inputs):
        equal &= (words[left] == words[right]).all(axis=1)
    return equal


def _words(inputs: Inputs) -> int:
    """Return how many 32-bit words a row has."""
    return len(inputs.index) + len(inputs.number) + sum(math.prod(tensor.shape[1:]) for tensor in inputs.tensors)


def _tensor_words(inputs: Inputs) -> list[npt.NDArray[np.uint32]]:
    return [np.ascontiguousarray(tensor.reshape(len(inputs), -1)).view(np.uint32) for tensor in inputs.tensors]
