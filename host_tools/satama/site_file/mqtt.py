"""The form of [mqtt] in a site file: which brokers, how they are known to be the right ones, and who we are to them."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr

from ..core.problems import Strict, Wrong
from .hosts import BrokerHost

TLS_PORT, PLAIN_PORT = 8883, 1883  # as registered with IANA


def _root(value: Any) -> str:
    hint = 'levels of A-Z a-z 0-9 - . _ joined by /, e.g. "district/v1", at most 64 characters'
    if not isinstance(value, str):
        raise Wrong("must be text in quotes", hint)
    levels = value.split("/")
    if len(value) > 64 or not all(
        level and all(c.isascii() and (c.isalnum() or c in "-._") for c in level) for level in levels
    ):
        raise Wrong("is not a topic root", hint)
    return value


def _file(value: Any) -> str:
    hint = 'the path of a file, relative to this one, e.g. "ca.pem"'
    if not isinstance(value, str) or not value:
        raise Wrong("must be text in quotes", hint)
    if "-----BEGIN" in value or "\n" in value:
        raise Wrong("holds what belongs into a file of its own", hint)
    return value


def _files(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


File = Annotated[str, BeforeValidator(_file)]


class Mqtt(Strict):
    host: BrokerHost | None = Field(None, description='the broker\'s host name, or an address; "name:port" works too')
    hosts: list[BrokerHost] = Field(
        [], max_length=4, description="several brokers, tried in turn; the first is preferred"
    )
    port: int | None = Field(
        None, ge=1, le=65535, description="TCP port, 1..65535; 8883 if left out, with insecure = true 1883"
    )
    insecure: bool = Field(False, description="true is plain TCP without encryption; left out, it is TLS")
    ca: Annotated[list[File], BeforeValidator(_files)] = Field(
        [], description="file with the certificate of the CA that signs the broker's; a list while one replaces another"
    )
    client_cert: File | None = Field(None, description="file with the gateway's own certificate, where the broker asks")
    client_key: File | None = Field(None, description="file with the private key of client_cert, unencrypted")
    user: str = Field("", max_length=64, description="MQTT user name")
    password: SecretStr = Field(SecretStr(""), description="MQTT password")
    root: Annotated[str, BeforeValidator(_root)] = Field("district/v1", description="first levels of every topic")
    keepalive_s: int = Field(60, ge=5, le=3600, description="MQTT keep-alive in seconds, 5..3600")
    window: int = Field(16, ge=1, le=64, description="most packets that wait for their acknowledgement, 1..64")
    batch_age_s: int = Field(10, ge=1, le=3600, description="a pack waits at most so many seconds, 1..3600")
    encoding: Literal["cbor", "json", "compact"] = Field(
        "cbor", description="of samples: cbor or json (SenML), compact (for metered links)"
    )
    batch_samples: int = Field(1000, ge=1, le=10000, description="a pack is sent at the latest with so many, 1..10000")
    batch_bytes: int = Field(1000, ge=100, le=8000, description="a pack is sent at the latest at this size, 100..8000")
    backlog_bytes_s: int = Field(
        8000, ge=0, le=1_000_000, description="after an outage the backlog goes at so many bytes a second; 0: no limit"
    )

    @property
    def brokers(self) -> list[tuple[str, int]]:
        """(host, port) of each, in the order in which they are preferred."""
        usual = self.port or (PLAIN_PORT if self.insecure else TLS_PORT)
        places = []
        for given in [self.host] if self.host else self.hosts:
            name, _, port = given.partition(":")
            places.append((name, int(port or usual)))
        return places
