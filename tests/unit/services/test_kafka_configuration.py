from __future__ import annotations

from pathlib import Path

from services.kafka.configuration import (
    PORTS,
    controller_properties,
    secure_properties,
    server_properties,
    write_configuration,
)
from services.kafka.listener import SecureListener

NUMBERS = {"kafka-broker": 20_001, "kafka-controller": 20_002, "kafka-secure": 20_003}


def test_clients_and_the_controller_have_a_port_each() -> None:
    assert set(PORTS) == set(NUMBERS)
    found = server_properties(Path("/data"), NUMBERS)
    assert found["listeners"] == "PLAINTEXT://127.0.0.1:20001,CONTROLLER://127.0.0.1:20002"
    assert found["controller.quorum.voters"] == "1@127.0.0.1:20002"
    alone = controller_properties(Path("/data"), NUMBERS)
    assert alone["listeners"] == "CONTROLLER://127.0.0.1:20002"
    assert {name for name in alone if alone[name] != found[name]} == {"process.roles", "listeners"}


def test_a_secure_listener_stands_beside_the_others() -> None:
    secure = SecureListener(certificate=Path("/c"), key=Path("/k"), user="anna", password="hush")
    plain = server_properties(Path("/data"), NUMBERS)
    found = secure_properties(plain, NUMBERS, secure, Path("/keystore.pem"))
    assert found["listeners"] == f"{plain['listeners']},SASL_SSL://127.0.0.1:20003"
    assert found["listener.name.sasl_ssl.ssl.keystore.location"] == "/keystore.pem"
    assert 'user_anna="hush"' in str(found["listener.name.sasl_ssl.plain.sasl.jaas.config"])
    assert {name for name in plain if plain[name] != found[name]} == {"listeners"}


def test_one_node_is_enough_for_transactions() -> None:
    found = server_properties(Path("/data"), NUMBERS)
    topics = {name: value for name, value in found.items() if name.endswith(("replication.factor", "min.isr"))}
    assert topics == {
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
    }


def test_java_reads_every_path_back(tmp_path: Path) -> None:
    file = tmp_path / "conf" / "server.properties"
    write_configuration(file, {"node.id": 1, "log.dirs": "/a b/\\/größe/𝄞"})
    assert file.read_bytes() == b"node.id=1\nlog.dirs=/a b/\\\\/gr\\u00f6\\u00dfe/\\ud834\\udd1e\n"
