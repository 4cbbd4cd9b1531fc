"""The net on MLServer, by its V2 body. ``python -m bench.online_peers.mlserver_net HTTP_PORT GRPC_PORT``.

No parallel workers: its documentation advises that for a model that is cheaper than a trip between processes. Texts
are taken from the JSON as they are, without its codecs, and neither metrics nor access logs are written.
"""

from __future__ import annotations

import asyncio
import sys

from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput

from bench.online_peers.row_net import RowNet


class Net(MLModel):
    """Answers one tensor a feature, BYTES of shape [rows, 1]."""

    async def load(self) -> bool:
        """Load the net."""
        self._net = RowNet()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer each row."""
        columns = {tensor.name: tensor.data.root for tensor in payload.inputs}
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        output = ResponseOutput(
            name="on_time", shape=[len(rows)], datatype="FP32", data=[self._net.answer(row) for row in rows]
        )
        return InferenceResponse(model_name=self.name, outputs=[output])


async def main(http_port: int, grpc_port: int) -> None:
    """Serve until SIGTERM."""
    server = MLServer(
        Settings(
            debug=False,
            parallel_workers=0,
            host="127.0.0.1",
            http_port=http_port,
            grpc_port=grpc_port,
            metrics_endpoint=None,
            gzip_enabled=False,
        )
    )
    await server.start([ModelSettings(name="net", implementation=Net)])


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
