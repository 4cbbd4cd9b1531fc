"""What every Kafka client keeps, for each client; and what opening one refuses."""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Iterator

import pytest

from engine.errors import BadSettings
from streaming.clients.client import CLIENTS, ClientSettings, open_client
from tests.contract.kafka_client_suite import ClientContract

SETTINGS = ClientSettings(servers="127.0.0.1:1", group="group", transactional_id=None)


# kafka-python leaves the sockets of connections that were refused to the garbage collection.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
class TestKafkaPython(ClientContract):
    name = "kafka-python"

    @pytest.fixture(autouse=True)
    def _collect_sockets(self) -> Iterator[None]:
        """Collects them while the warning is ignored, and not in some later test."""
        yield
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


class TestConfluent(ClientContract):
    name = "confluent"


@pytest.mark.parametrize(
    "name, library, extra", [("kafka-python", "kafka", "kafka"), ("confluent", "confluent_kafka", "fast-kafka")]
)
def test_a_library_that_is_not_installed_is_named(
    name: str, library: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [module for module in sys.modules if module.startswith(f"streaming.clients.{library[:5]}")]:
        monkeypatch.delitem(sys.modules, module)
    for module in [module for module in sys.modules if module.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(BadSettings, match=rf"library is not installed\. pip install 'foretable\[{extra}\]'"):
        open_client(name, SETTINGS)


def test_a_client_that_is_not_known_is_refused() -> None:
    with pytest.raises(BadSettings, match=f"must be one of {', '.join(CLIENTS)}; got 'java'"):
        open_client("java", SETTINGS)
