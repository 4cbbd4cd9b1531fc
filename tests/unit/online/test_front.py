"""The front: which requests it answers where, the token, identifiers, and the log."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from online.app import create_app
from online.config import ServeConfig
from online.front import Front
from online.http.request import Request
from online.served import ServedHolder
from online.token import Tokens
from tests.support.app_client import AppClient
from tests.support.synthetic import CITIES, FINITE_NAME, PLANS

PATH = f"/v1/models/{FINITE_NAME}:predict"
ROW = {"city": "city 3", "plan": "pro", "age": "33", "size": "2"}
MISS = {**ROW, "plan": "unheard of"}
TARGET = f"{PATH}?{urlencode(ROW)}"

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
@given(row=ROWS, tail=st.sampled_from(["", "&", "&city=Z", "&=", "&age", "&a=b=c", "&%", "&%ff=1"]))
def test_any_query_is_answered_or_at_fault(client: AppClient, row: dict[str, object], tail: str) -> None:
    response = client.get(f"{PATH}?{urlencode(row)}{tail}")
    assert response.status_code in {200, 400}
    assert ("error" in response.json) is (response.status_code == 400)
    assert re.fullmatch(r"app;dur=[0-9]+\.[0-9]{3}", response.headers["Server-Timing"])


@pytest.mark.parametrize("place", ["", "/versions/1", "/labels/production"])
def test_lookup_is_the_same_wherever_it_is_asked(client: AppClient, place: str) -> None:
    wanted, found = (client.get(target) for target in (TARGET, TARGET.replace(":predict", f"{place}:predict")))
    assert found.data == wanted.data
    assert found.headers["ETag"] == wanted.headers["ETag"]


class Handed:
    """Stands before a front's threads and notes what they are given."""

    def __init__(self, front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
        self.to: list[str] = []
        for name in ("_workers", "_describer"):
            run = getattr(front, name).run
            monkeypatch.setattr(getattr(front, name), "run", self._noting(name, run))

    def _noting(self, name: str, run: Any) -> Any:
        def noted(*arguments: Any) -> Any:
            self.to.append(name)
            return run(*arguments)

        return noted


@pytest.mark.parametrize(
    "quick, method, target, data, threads",
    [
        (True, "GET", TARGET, "", []),
        (True, "GET", f"{PATH}?{urlencode(MISS)}", "", []),
        (True, "POST", PATH, json.dumps({"instances": [MISS]}), []),
        (True, "POST", PATH, json.dumps({"instances": [MISS] * 80}), ["_workers"]),
        (False, "GET", TARGET, "", []),
        (False, "GET", f"{PATH}?city=Atlantis", "", []),
        (False, "GET", f"{PATH}?{urlencode(MISS)}", "", ["_workers"]),
        (False, "POST", PATH, json.dumps({"instances": [ROW]}), ["_workers"]),
        (True, "GET", "/livez", "", ["_describer"]),
        (True, "GET", "/nowhere", "", ["_describer"]),
    ],
)
def test_only_what_is_short_is_answered_at_once(
    served: tuple[ServeConfig, ServedHolder],
    monkeypatch: pytest.MonkeyPatch,
    quick: bool,
    method: str,
    target: str,
    data: str,
    threads: list[str],
) -> None:
    config, holder = served
    measured = [dataclasses.replace(each, quick=quick) for each in holder.current.values()]
    with closing(AppClient(create_app(ServedHolder(measured, holder.labels), config))) as client:
        handed = Handed(client.front, monkeypatch)
        client.ask(method, target, {}, data)
        assert handed.to == threads


@pytest.mark.parametrize("given_id", [None, "", "x" * 201])
def test_request_without_an_identifier_gets_its_own(client: AppClient, given_id: str | None) -> None:
    headers = {} if given_id is None else {"X-Request-Id": given_id}
    found = [client.get(path, headers).headers["X-Request-Id"] for path in (TARGET, TARGET, "/livez")]
    assert len(set(found)) == 3
    assert all(re.fullmatch("[0-9a-f]{22}", identifier) for identifier in found)


def test_identifier_comes_back(client: AppClient) -> None:
    for path in (TARGET, "/livez", "/nowhere"):
        assert client.get(path, {"X-Request-Id": "x" * 200}).headers["X-Request-Id"] == "x" * 200


@pytest.mark.parametrize("path", [PATH, "/metrics", "/nowhere", "/livez", "/readyz"])
@pytest.mark.parametrize(
    "authorization, passes",
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
def test_token(
    served: tuple[ServeConfig, ServedHolder], tmp_path: Path, path: str, authorization: str | None, passes: bool
) -> None:
    config, holder = served
    headers = {} if authorization is None else {"Authorization": authorization}
    with closing(AppClient(create_app(holder, config, tokens=Tokens(token_file(tmp_path))))) as client:
        response = client.get(f"{path}?{urlencode(ROW)}", headers)
        body = Request("POST", path.encode(), {name.lower().encode(): v.encode() for name, v in headers.items()})
        refusal = client.front.refuse(body)
    refused = not passes and path not in {"/livez", "/readyz"}
    assert (response.status_code == 401) is refused
    assert (refusal is not None) is refused  # before the body comes
    if refused:
        assert (response.headers["WWW-Authenticate"], response.headers["Cache-Control"]) == ("Bearer", "no-store")
        assert "Authorization must be" in response.json["error"]


def token_file(folder: Path) -> str:
    file = folder / "tokens"
    file.write_text("# of the ingress\nfirst-first-first\n\nsecond-second-second\n")
    return str(file)


@pytest.mark.parametrize("choice, codes", [("none", []), ("errors", [400]), ("all", [200, 400])])
def test_log_of_requests(
    served: tuple[ServeConfig, ServedHolder], caplog: pytest.LogCaptureFixture, choice: str, codes: list[int]
) -> None:
    config = dataclasses.replace(served[0], log_requests=choice)
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"X-Request-Id": "r1", "traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    with closing(AppClient(create_app(served[1], config))) as client, caplog.at_level(logging.INFO, "online.requests"):
        for query in (urlencode(ROW), "city=Atlantis"):
            client.get(f"{PATH}?{query}", headers)
    found = [vars(record)["fields"] for record in caplog.records]
    assert [fields["code"] for fields in found] == codes
    for fields in found:
        assert (fields["request_id"], fields["trace_id"], fields["path"]) == ("r1", trace, PATH)
        assert "Atlantis" not in str(fields)  # a row's values are nobody's business


def test_path_is_one_line_of_the_log(
    served: tuple[ServeConfig, ServedHolder], caplog: pytest.LogCaptureFixture
) -> None:
    front = create_app(served[1], dataclasses.replace(served[0], log_requests="all"))
    with closing(AppClient(front)) as client, caplog.at_level(logging.INFO, "online.requests"):
        client.ask("A" * 5000, "/v1/a%0aERROR forged%1b[31m" + "x" * 5000)
    (message,) = caplog.messages
    assert message.startswith("A" * 20 + r" /v1/a\nERROR forged\x1b[31mxxx")
    assert len(message) < 1200
