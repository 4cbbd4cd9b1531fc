from __future__ import annotations

import dataclasses

import pytest

from engine.errors import BadSettings
from engine.settings import described
from online.config import ServeConfig, parse_config


def test_command_line_wins_over_environment_over_default() -> None:
    environment = {"FORETABLE_PORT": "9000", "FORETABLE_LABELS": "canary", "FORETABLE_REGISTRY": "/models", "HOME": "/"}
    config, check = parse_config(["--port", "9001"], environment)
    assert config == ServeConfig(registry="/models", port=9001, labels=("canary",))
    assert not check


def test_every_setting_is_read_from_both_places() -> None:
    texts = {
        "registry": "memory://r",
        "models": "a,b",
        "labels": "canary,production",
        "host": "::1",
        "port": "0",
        "workers": "2",
        "threads": "3",
        "model_priority": "normal",
        "scratch": "/scratch",
        "poll_s": "0.25",
        "scrub_s": "60",
        "drain_s": "7",
        "max_body_bytes": "10",
        "max_rows": "11",
        "max_age_s": "0",
        "max_concurrent": "12",
        "max_connections": "13",
        "idle_s": "14.5",
        "token_file": "tokens",
        "tls_cert": "chain.pem",
        "tls_key": "key.pem",
        "log_format": "json",
        "log_requests": "errors",
    }
    wanted = ServeConfig(
        registry="memory://r",
        models=("a", "b"),
        labels=("canary", "production"),
        host="::1",
        port=0,
        workers=2,
        threads=3,
        model_priority="normal",
        scratch="/scratch",
        poll_s=0.25,
        scrub_s=60.0,
        drain_s=7,
        max_body_bytes=10,
        max_rows=11,
        max_age_s=0,
        max_concurrent=12,
        max_connections=13,
        idle_s=14.5,
        token_file="tokens",
        tls_cert="chain.pem",
        tls_key="key.pem",
        log_format="json",
        log_requests="errors",
    )
    assert set(texts) == {field.name for field in dataclasses.fields(ServeConfig)}
    argv = [part for name, text in texts.items() for part in (f"--{name.replace('_', '-')}", text)]
    assert parse_config([*argv, "--check"], {}) == (wanted, True)
    assert parse_config([], {f"FORETABLE_{name.upper()}": text for name, text in texts.items()}) == (wanted, False)


@pytest.mark.parametrize(
    "argv, environment, message",
    [
        ([], {}, r"--registry \(or FORETABLE_REGISTRY\) must be given"),
        (["--registry", ""], {}, "--registry must be a text that is not empty; got ''"),
        (["--registry", "r", "--port", "65536"], {}, "--port must be an integer from 0 to 65535; got '65536'"),
        (["--registry", "r", "--port", "8_000"], {}, "--port must be an integer"),
        (["--registry", "r", "--poll-s", "nan"], {}, "--poll-s must be a number of seconds above 0"),
        (["--registry", "r", "--poll-s", "0"], {}, "--poll-s must be"),
        (["--registry", "r", "--models", "a,,b"], {}, "--models must be distinct names joined by commas"),
        (["--registry", "r", "--models", "a,a"], {}, "--models must be distinct names joined by commas"),
        (["--registry", "r"], {"FORETABLE_PROT": "1"}, "environment variable FORETABLE_PROT must be one of"),
        (["--registry", "r"], {"FORETABLE_THREADS": "many"}, "FORETABLE_THREADS must be an integer"),
        (["--registry", "r", "--prot", "1"], {}, "unrecognized arguments: --prot"),
        (["--registry", "r", "--reg", "1"], {}, "unrecognized arguments: --reg"),
        (["--registry", "r", "--tls-key", "k"], {}, "--tls-cert and --tls-key must be given together"),
        (["--registry", "r", "--log-format", "xml"], {}, "--log-format must be one of text, json; got 'xml'"),
    ],
)
def test_what_cannot_be_read_is_refused(argv: list[str], environment: dict[str, str], message: str) -> None:
    with pytest.raises(BadSettings, match=message):
        parse_config(argv, environment)


def test_help_shows_defaults_as_one_types_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_config(["--help"], {})
    assert ended.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "the first answers requests that name none (default: production)" in shown


def test_models_may_stand_alone() -> None:
    config, _ = parse_config(["flights", "hotels", "--registry", "r"], {})
    assert config.models == ("flights", "hotels")


def test_description_masks_credentials() -> None:
    shown = described(ServeConfig(registry="s3://key:secret@bucket/models"))
    assert "secret" not in shown
    assert "registry='s3://***@bucket/models'" in shown


def test_variables_that_kubernetes_makes_for_a_service_of_our_name_are_no_settings() -> None:
    made = {
        "FORETABLE_SERVICE_HOST": "10.0.0.7",
        "FORETABLE_SERVICE_PORT": "8000",
        "FORETABLE_SERVICE_PORT_HTTP": "8000",
        "FORETABLE_PORT": "tcp://10.0.0.7:8000",
        "FORETABLE_PORT_8000_TCP": "tcp://10.0.0.7:8000",
        "FORETABLE_PORT_8000_TCP_ADDR": "10.0.0.7",
    }
    config, _ = parse_config([], {"FORETABLE_REGISTRY": "/models", **made})
    assert config == ServeConfig(registry="/models")
