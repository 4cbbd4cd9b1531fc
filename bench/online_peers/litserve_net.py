"""The net on LitServe: one API process, one worker. ``python -m bench.online_peers.litserve_net PORT``.

``fast_queue`` (ZeroMQ between the two) is what its documentation advises for many small requests.
"""

from __future__ import annotations

import sys
from typing import Any

import litserve

from bench.online_peers.row_net import RowNet


class Net(litserve.LitAPI):
    """Answers ``{"instances": [row]}``."""

    def setup(self, device: str) -> None:  # noqa: ARG002  # the base's signature
        """Load the net, in the worker's process."""
        self._net = RowNet()

    def predict(self, x: dict[str, Any]) -> dict[str, Any]:
        """Answer each row."""
        return {"predictions": [self._net.answer(row) for row in x["instances"]]}


if __name__ == "__main__":
    server = litserve.LitServer(Net(), accelerator="cpu", workers_per_device=1, fast_queue=True)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        log_level="error",
        generate_client_file=False,
        access_log=False,
    )
