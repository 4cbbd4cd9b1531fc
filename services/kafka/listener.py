"""A second listener of the broker, which asks who comes: SASL over TLS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_NAME = "SASL_SSL"
_SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-512")
_PLAIN_MODULE = "org.apache.kafka.common.security.plain.PlainLoginModule"
_SCRAM_MODULE = "org.apache.kafka.common.security.scram.ScramLoginModule"


@dataclass(frozen=True, kw_only=True)
class SecureListener:
    """Where it is, and whom it lets in.

    Attributes:
        certificate: PEM file of the broker's certificate, for the host that clients connect to.
        key: PEM file of its key, in PKCS #8 and not encrypted.
        user: the one user, of letters and digits.
        password: that user's, of letters and digits.
    """

    certificate: Path
    key: Path
    user: str
    password: str

    def listener(self, address: str) -> str:
        """Return it as the broker's ``listeners`` name it; ``address`` is ``host:port``."""
        return f"{_NAME}://{address}"

    def properties(self, keystore: Path) -> Mapping[str, str]:
        """Return what the broker's properties say of it; ``keystore`` is a file that holds ``keystore_text``."""
        prefix = f"listener.name.{_NAME.lower()}"
        plain = f'username="{self.user}" password="{self.password}" user_{self.user}="{self.password}"'
        scram = {f"{prefix}.{name.lower()}.sasl.jaas.config": f"{_SCRAM_MODULE} required;" for name in _SCRAM}
        return {
            "listener.security.protocol.map": f"CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,{_NAME}:{_NAME}",
            f"{prefix}.sasl.enabled.mechanisms": ",".join(("PLAIN", *_SCRAM)),
            f"{prefix}.ssl.keystore.type": "PEM",
            f"{prefix}.ssl.keystore.location": str(keystore),
            f"{prefix}.plain.sasl.jaas.config": f"{_PLAIN_MODULE} required {plain};",
            **scram,
        }

    def keystore_text(self) -> str:
        """Return the key and the certificate as Kafka reads them from one file."""
        return self.key.read_text(encoding="ascii") + self.certificate.read_text(encoding="ascii")

    def format_options(self) -> list[str]:
        """Return what makes the user known when the cluster's data are formatted."""
        return [f"--add-scram={name}=[name={self.user},password={self.password}]" for name in _SCRAM]
