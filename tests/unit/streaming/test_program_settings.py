"""Settings of the programs around the stream."""

from __future__ import annotations

import pytest

from engine.errors import BadSettings
from engine.settings import described
from streaming.asking import config as asking
from streaming.config import parse_config
from streaming.letters.config import parse_list, parse_replay, parse_show
from streaming.record import Partition

REACH = ["--brokers", "a:1,b:2", "--topic", "t"]


def test_all_programs_connect_alike() -> None:
    given = [*REACH[:2], "--client", "confluent", "--sasl-username", "u", "--ssl-ca", "ca.pem"]
    environment = {"FORETABLE_SASL_PASSWORD": "hush", "FORETABLE_SECURITY_PROTOCOL": "SASL_SSL"}
    own = ["--registry", "r", "--model", "m", "--requests", "1", "--predictions", "2", "--dead-letters", "3"]
    topic = REACH[2:]
    configs = [
        parse_config([*given, *own], environment)[0],
        parse_list([*given, *topic], environment),
        asking.parse_config([*given, *topic, "--input", "-"], environment),
    ]
    for config in configs:
        assert config.security == {
            "security.protocol": "SASL_SSL",
            "sasl.username": "u",
            "sasl.password": "hush",
            "ssl.ca.location": "ca.pem",
        }
        assert (config.brokers, config.client) == ("a:1,b:2", "confluent")
        assert "hush" not in described(config)


def test_what_only_the_stream_reads_is_no_mistake_beside_it() -> None:
    assert parse_list(REACH, {"FORETABLE_MODEL": "m", "FORETABLE_REGISTRY": "r", "PATH": "p"}).topic == "t"
    with pytest.raises(BadSettings, match="FORETABLE_MODLE"):
        parse_list(REACH, {"FORETABLE_MODLE": "m"})


def test_flags() -> None:
    assert parse_replay([*REACH, "--dry-run"], {}).dry_run
    assert parse_replay(REACH, {"FORETABLE_DRY_RUN": "true"}).dry_run
    assert not parse_replay(REACH, {"FORETABLE_DRY_RUN": "false"}).dry_run
    with pytest.raises(BadSettings, match="FORETABLE_DRY_RUN must be true or false; got 'yes'"):
        parse_replay(REACH, {"FORETABLE_DRY_RUN": "yes"})


def test_which_letters_are_replayed() -> None:
    assert parse_replay(REACH, {}).selection.dispositions == ("transient",)
    assert parse_replay([*REACH, "--disposition", "poison"], {}).selection.dispositions == ("poison",)
    assert parse_replay([*REACH, "--all"], {}).selection.dispositions == ()
    with pytest.raises(BadSettings, match="--to must be another topic"):
        parse_replay([*REACH, "--to", "t"], {})


def test_the_place_of_a_letter() -> None:
    assert parse_show(["3:14", *REACH], {})[1:] == (Partition("t", 3), 14)
    for wrong in ("3", "3:", ":3", "-1:2", "3:1:4", "a:b"):
        with pytest.raises(BadSettings, match="PARTITION:OFFSET"):
            parse_show([*REACH, "--", wrong], {})


def test_what_waiting_needs() -> None:
    with pytest.raises(BadSettings, match="got no --predictions"):
        asking.parse_config([*REACH, "--input", "-", "--wait"], {})
    with pytest.raises(BadSettings, match="must be distinct"):
        asking.parse_config([*REACH, "--input", "-", "--wait", "--predictions", "t"], {})


def test_how_long_answers_are_waited_for() -> None:
    waiting = [*REACH, "--input", "-", "--wait", "--predictions", "p"]
    assert asking.parse_config([*waiting, "--timeout-s", "0.5"], {}).timeout_s == 0.5
    assert asking.parse_config(waiting, {"FORETABLE_TIMEOUT_S": "7"}).timeout_s == 7.0
