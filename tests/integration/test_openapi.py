"""The OpenAPI document, held against the server by thousands of requests made from it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.serving import ServerProcess

# 504 is what a deadline in the past asks for.
_CONFIG = '[checks.not_a_server_error]\nexpected-statuses = ["2xx", "3xx", "4xx", 504]\n'
# Not positive_data_acceptance: that columns are of one length is beyond what a JSON schema can say.
_CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


def test_no_request_finds_a_fault_of_the_server_or_an_answer_against_the_document(
    published: Path, tmp_path: Path
) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(_CONFIG)
    with ServerProcess(published, "--labels", "production,canary", logs=tmp_path / "log") as server:
        document = f"http://127.0.0.1:{server.port}/openapi.json"
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", document]
        options = ["--checks", ",".join(_CHECKS), "--max-examples", "20", "--generation-deterministic", "--no-color"]
        done = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-6000:]
        assert "Traceback" not in server.log
        # A run that reached nothing would pass as well.
        seen = server.request("/metrics")[2].decode()
        assert 'code="200",method="POST",model="numbers",source="model"' in seen
        assert 'code="400",method="GET",model="synthetic"' in seen
