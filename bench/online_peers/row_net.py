"""The net as every peer holds it: raw texts to codes by a dict, LiteRT for one row."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

# Where the program that starts a peer says what to load: mosec and LitServe parse their own command lines.
NET, CATEGORIES = "PEER_NET", "PEER_CATEGORIES"


class RowNet:
    """Answers one row at a time; one thread at a time.

    It does the least that the job needs: no check beyond that a text is known.

    Attributes:
        names: of the features, in the model's order.
    """

    def __init__(self) -> None:
        """Load the LiteRT file and the categories that the environment names."""
        from ai_edge_litert.interpreter import Interpreter

        categories: dict[str, list[str]] = json.loads(Path(os.environ[CATEGORIES]).read_text(encoding="utf-8"))
        self.names = list(categories)
        self._codes = {
            name: {text: code for code, text in enumerate(texts)} for name, texts in categories.items()
        }.items()
        self._interpreter = Interpreter(model_path=os.environ[NET], num_threads=1)
        self._interpreter.allocate_tensors()
        (given,) = self._interpreter.get_input_details()
        (output,) = self._interpreter.get_output_details()
        self._given, self._output = given["index"], output["index"]

    def answer(self, row: Mapping[str, str]) -> float:
        """Return the one output of a row of raw texts; KeyError where a feature is missing or a text not known."""
        codes = np.array([[known[row[name]] for name, known in self._codes]], np.int32)
        self._interpreter.set_tensor(self._given, codes)
        self._interpreter.invoke()
        return float(self._interpreter.get_tensor(self._output)[0, 0])
