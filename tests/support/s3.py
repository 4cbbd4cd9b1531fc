"""An S3 of this process's own: moto's, behind real HTTP on a free port."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server


@contextmanager
def running_s3() -> Iterator[str]:
    """Give the URL of an empty bucket, with ``AWS_*`` set so that this process and its children find it.

    The server answers one request after the other: moto tests a write's condition and stores it in two steps, which
    the real S3 does in one.
    """
    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=False)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    settings = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    try:
        with mock.patch.dict(os.environ, settings):
            bucket = f"test-{secrets.token_hex(8)}"
            boto3.session.Session().client("s3").create_bucket(Bucket=bucket)
            yield f"s3://{bucket}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
