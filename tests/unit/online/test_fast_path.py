"""With the fast path and without it: the same status, the same headers in the same order, the same bytes."""

from __future__ import annotations

import dataclasses
from typing import Any
from urllib.parse import urlencode

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import create_environ

from online.app import create_app
from online.config import ServeConfig
from online.fast_path import FastPath
from online.holder import Holder
from online.metrics import Metrics
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
    apps = [create_app(holder, dataclasses.replace(config, fast_path=on)) for on in (True, False)]
    fast, slow = (call(app.wsgi_app, {**create_environ(PATH), "QUERY_STRING": query, **environ}) for app in apps)
    return fast, slow


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
    ],
)
def test_any_request(served: tuple[ServeConfig, Holder], environ: dict[str, str]) -> None:
    fast, slow = both(served, urlencode(ROW), **environ)
    assert fast == slow


def test_lookups_do_not_reach_flask(served: tuple[ServeConfig, Holder]) -> None:
    def flask(*_: object) -> Any:
        raise AssertionError

    metrics = Metrics()
    app = FastPath(flask, served[1], metrics)
    status, _, body = call(app, {**create_environ(PATH), "QUERY_STRING": urlencode(ROW)})
    assert (status, b'"source":"table"' in body) == ("200 OK", True)
    assert sum(metrics.requests()[FINITE_NAME, "GET", "table", 200][:-1]) == 1
    with pytest.raises(AssertionError):
        call(app, {**create_environ(PATH), "QUERY_STRING": urlencode({**ROW, "plan": "unheard of"})})
