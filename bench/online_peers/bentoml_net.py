"""The net on BentoML, for ``bentoml serve bench.online_peers.bentoml_net:Net``.

One worker, without access log and metrics. The method is a coroutine: a plain one would go through a thread pool, which
costs more than the answer.
"""

from __future__ import annotations

import bentoml

from bench.online_peers.row_net import RowNet


@bentoml.service(workers=1, logging={"access": {"enabled": False}}, metrics={"enabled": False})
class Net:
    """Answers ``{"instances": [row]}``."""

    def __init__(self) -> None:
        """Load the net."""
        self._net = RowNet()

    @bentoml.api
    async def predict(self, instances: list[dict[str, str]]) -> dict[str, list[float]]:
        """Answer each row."""
        return {"predictions": [self._net.answer(row) for row in instances]}
