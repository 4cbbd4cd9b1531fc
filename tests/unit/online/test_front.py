"""The front: by its shortest path and by the endpoint the same status, headers in order, and bytes; and the token."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import create_environ

from online.admission import Admission
from online.app import create_app
from online.config import ServeConfig
from online.front import Front
from online.holder import Holder
from online.metrics import Metrics
from online.request_log import RequestLog
from online.serving import Serving
from online.token import Tokens
from tests.support.synthetic import CITIES, FINITE_NAME, PLANS

PATH = f"/v1/models/{FINITE_NAME}:predict"
ROW = {"city": "city 3", "plan": "pro", "age": "33", "size": "2"}
Reply = tuple[str, list[tuple[str, str]], bytes]


def call(app: Any, environ: dict[str, Any]) -> Reply:
    seen: list[Any] = []
    body = app(environ, lambda status, headers, exc_info=None: seen.append((status, headers)))
    data = b"".join(body)
    if hasattr(body, "close"):
        body.close()
    ((status, headers),) = seen
    return status, list(headers), data


def both(served: tuple[ServeConfig, Holder], query: str, **environ: str) -> tuple[Reply, Reply]:
    config, holder = served
    apps = [create_app(holder, config) for _ in range(2)]
    apps[1].wsgi_app._places.clear()  # type: ignore[attr-defined]
    given = {"QUERY_STRING": query, "HTTP_X_REQUEST_ID": "r1", **environ}
    fast, slow = (untimed(call(app.wsgi_app, {**create_environ(PATH), **given})) for app in apps)
    return fast, slow


def untimed(reply: Reply) -> Reply:
    """Leave out how long it took, which is there in any case."""
    status, headers, body = reply
    timing = dict(headers)["Server-Timing"]
    assert re.fullmatch(r"app;dur=[0-9]+\.[0-9]{3}", timing)
    return status, [(name, value) for name, value in headers if name != "Server-Timing"], body


ROWS = st.fixed_dictionaries(
    {},
    optional={
        "city": st.sampled_from([*CITIES, "Atlantis", ""]),
        "plan": st.sampled_from([*PLANS, "unheard of"]),
        "age": st.one_of(st.integers(-5, 200), st.floats(0, 101), st.sampled_from(["NaN", "x", "1e2", ""])),
        "size": st.sampled_from(["1", "2", "3"]),
        "extra": st.just("1"),
    },
)


@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@given(row=ROWS, tail=st.sampled_from(["", "&", "&city=Z", "&=", "&age", "&a=b=c"]))
def test_any_query(served: tuple[ServeConfig, Holder], row: dict[str, object], tail: str) -> None:
    fast, slow = both(served, urlencode(row) + tail)
    assert fast == slow


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"REQUEST_METHOD": "HEAD"},
        {"REQUEST_METHOD": "PUT"},
        {"PATH_INFO": f"/v1/models/{FINITE_NAME}/versions/1:predict"},
        {"PATH_INFO": f"/v1/models/{FINITE_NAME}/labels/production:predict"},
        {"PATH_INFO": f"/v1/models/{FINITE_NAME}/labels/canary:predict"},
        {"PATH_INFO": f"{PATH}/"},
        {"HTTP_IF_NONE_MATCH": "*"},
        {"HTTP_IF_NONE_MATCH": '"other"'},
        {"HTTP_IF_NONE_MATCH": ""},
        {"HTTP_RANGE": "bytes=0-3"},
        {"HTTP_ACCEPT": "text/html"},
        {"HTTP_X_REQUEST_ID": "x" * 200},
    ],
)
def test_any_request(served: tuple[ServeConfig, Holder], environ: dict[str, str]) -> None:
    fast, slow = both(served, urlencode(ROW), **environ)
    assert fast == slow


def test_predictions_do_not_reach_flask(served: tuple[ServeConfig, Holder]) -> None:
    def other(*_: object) -> Any:
        raise AssertionError

    config, holder = served
    metrics = Metrics()
    serving = Serving(holder=holder, config=config, metrics=metrics, admission=Admission(1), log=RequestLog("none"))
    app = Front(other, serving, None)
    status, _, body = call(app, {**create_environ(PATH), "QUERY_STRING": urlencode(ROW)})
    assert (status, b'"source":"table"' in body) == ("200 OK", True)
    assert sum(metrics.requests()[FINITE_NAME, "GET", "table", 200][:-1]) == 1
    status, _, body = call(app, {**create_environ(PATH), "QUERY_STRING": urlencode({**ROW, "plan": "unheard of"})})
    assert (status, b'"source":"model"' in body) == ("200 OK", True)
    with pytest.raises(AssertionError):
        call(app, create_environ("/livez"))


@pytest.mark.parametrize("given", [None, "", "x" * 201])
def test_request_without_an_identifier_gets_its_own(served: tuple[ServeConfig, Holder], given: str | None) -> None:
    config, holder = served
    app = create_app(holder, config).wsgi_app
    environ = {**create_environ(PATH), "QUERY_STRING": urlencode(ROW)}
    if given is not None:
        environ["HTTP_X_REQUEST_ID"] = given
    found = [dict(call(app, {**environ, "PATH_INFO": path})[1])["X-Request-Id"] for path in (PATH, PATH, "/livez")]
    assert len(set(found)) == 3
    assert all(re.fullmatch("[0-9a-f]{22}", identifier) for identifier in found)


@pytest.mark.parametrize("path", [PATH, "/metrics", "/nowhere", "/livez", "/readyz"])
@pytest.mark.parametrize(
    "given, passes",
    [
        (None, False),
        ("", False),
        ("Bearer wrong-wrong-wrong", False),
        ("Bearer first-first-first ", False),
        ("first-first-first", False),
        ("Bearer \xe9", False),
        ("Bearer # not a token", False),
        ("Bearer first-first-first", True),
        ("bearer first-first-first", True),
        ("Bearer second-second-second", True),
    ],
)
def test_token(served: tuple[ServeConfig, Holder], tmp_path: Path, path: str, given: str | None, passes: bool) -> None:
    config, holder = served
    app = create_app(holder, config, tokens=Tokens(token_file(tmp_path))).wsgi_app
    environ = {**create_environ(path), "QUERY_STRING": urlencode(ROW)}
    if given is not None:
        environ["HTTP_AUTHORIZATION"] = given
    status, headers, body = call(app, environ)
    assert status.startswith("401") is not (passes or path in {"/livez", "/readyz"})
    if status.startswith("401"):
        assert (dict(headers)["WWW-Authenticate"], dict(headers)["Cache-Control"]) == ("Bearer", "no-store")
        assert "Authorization must be" in json.loads(body)["error"]


def token_file(folder: Path) -> str:
    file = folder / "tokens"
    file.write_text("# of the ingress\nfirst-first-first\n\nsecond-second-second\n")
    return str(file)


@pytest.mark.parametrize("choice, codes", [("none", []), ("errors", [400]), ("all", [200, 400])])
def test_log_of_requests(
    served: tuple[ServeConfig, Holder], caplog: pytest.LogCaptureFixture, choice: str, codes: list[int]
) -> None:
    config = dataclasses.replace(served[0], log_requests=choice)
    app = create_app(served[1], config).wsgi_app
    trace = "0af7651916cd43dd8448eb211c80319c"
    extra = {"HTTP_X_REQUEST_ID": "r1", "HTTP_TRACEPARENT": f"00-{trace}-b7ad6b7169203331-01"}
    with caplog.at_level(logging.INFO, "online.requests"):
        for query in (urlencode(ROW), "city=Atlantis"):
            call(app, {**create_environ(PATH), "QUERY_STRING": query, **extra})
    found = [vars(record)["fields"] for record in caplog.records]
    assert [fields["code"] for fields in found] == codes
    for fields in found:
        assert (fields["request_id"], fields["trace_id"], fields["path"]) == ("r1", trace, PATH)
        assert "Atlantis" not in str(fields)  # a row's values are nobody's business


def test_path_is_one_line_of_the_log(served: tuple[ServeConfig, Holder], caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(served[1], dataclasses.replace(served[0], log_requests="all")).wsgi_app
    with caplog.at_level(logging.INFO, "online.requests"):
        call(app, create_environ("/v1/a%0aERROR forged%1b[31m" + "x" * 5000, method="A" * 5000))
    (message,) = caplog.messages
    assert message.startswith("A" * 20 + r" /v1/a\nERROR forged\x1b[31mxxx")
    assert len(message) < 1200
