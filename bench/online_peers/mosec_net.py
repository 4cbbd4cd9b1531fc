"""The net on mosec: one worker process behind its Rust front. ``python -m bench.online_peers.mosec_net --port PORT``.

No batching: at one row a call it only waits, and more workers than the two cores hold would take time from the front.
"""

from __future__ import annotations

from typing import Any

from mosec import Server, Worker

from bench.online_peers.row_net import RowNet


class Net(Worker):
    """Answers ``{"instances": [row]}``."""

    def __init__(self) -> None:
        """Load the net, in the worker's process."""
        super().__init__()
        self._net = RowNet()

    def forward(self, data: dict[str, Any]) -> dict[str, Any]:
        """Answer each row."""
        return {"predictions": [self._net.answer(row) for row in data["instances"]]}


if __name__ == "__main__":
    server = Server()
    server.append_worker(Net, num=1)
    server.run()
