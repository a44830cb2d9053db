"""Credentials for the rows that bring none: looked through before anything is written, made, and told to the broker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..core.problems import Problem, Wrong
from . import credentials
from .broker_files import ACCESS, other_topics, write_access, write_passwords
from .cabinets import Cabinet, Table, open_to_others
from .prepare import Order


@dataclass(frozen=True)
class Supply:
    """Where credentials come from: certificates by a CA, passwords in a folder, or neither."""

    authority: credentials.Authority | None = None
    passwords: Path | None = None

    @property
    def folder(self) -> Path | None:
        """Where they are kept, with what the broker must know of them."""
        return self.authority.folder if self.authority else self.passwords

    def check(self, table: Table, orders: list[Order]) -> Iterator[Problem]:
        """What stands in the way of making them, with row. Writes nothing."""
        brought = {order.cabinet.mqtt_user: order.cabinet.line for order in orders if order.cabinet.mqtt_user}
        for order in orders:
            cabinet, mqtt = order.cabinet, order.compiled.site.mqtt
            try:
                if not self._for(cabinet):
                    if self.passwords and cabinet.mqtt_password:
                        credentials.require_user_name(cabinet.mqtt_user)
                elif self.authority:
                    credentials.check_certificate(self.authority, cabinet)
                    if mqtt.insecure:
                        hint = f"remove insecure = true from {cabinet.site.name}, or --make-passwords"
                        raise Wrong("a client certificate needs TLS, but the site says insecure = true", hint)
                elif self.passwords:
                    credentials.check_password(self.passwords, cabinet)
                    if line := brought.get(cabinet.gateway):
                        raise Wrong(f"row {line} logs in as that user already", "another mqtt_user there")
            except Wrong as wrong:
                yield Problem(table.path, cabinet.line, "gateway", f"{cabinet.gateway}: {wrong.what}", wrong.hint)

    def gives(self, order: Order) -> bool:
        """Will the broker be shown credentials, from wherever?"""
        mqtt = order.compiled.site.mqtt
        return bool(self._for(order.cabinet) or mqtt.password.get_secret_value() or mqtt.client_cert)

    def supplied(self, cabinet: Cabinet) -> Cabinet:
        """With its credentials, made now if there were none yet. Raises Wrong and Problems."""
        if not self._for(cabinet):
            return cabinet
        if self.authority:
            certificate, key = credentials.make_certificate(self.authority, cabinet)
            return replace(cabinet, client_cert=certificate, client_key=key)
        password = credentials.make_password(self.passwords, cabinet)
        return replace(cabinet, mqtt_user=cabinet.gateway, mqtt_password=password)

    def tell_broker(self, orders: list[Order]) -> list[Path]:
        """Write what belongs into the broker's configuration; the files. Raises Problems."""
        if (folder := self.folder) is None:
            return []
        written = [write_access(folder, _topics(orders))]
        if self.passwords:
            made = {o.cabinet.mqtt_user: o.cabinet.mqtt_password for o in orders if o.cabinet.mqtt_password}
            written.append(write_passwords(folder, made))
        return written

    def exposed(self, orders: list[Order]) -> Iterator[Problem]:
        """Secrets in its folder that other users of this machine may read."""
        mine = [order.cabinet for order in orders if self._for(order.cabinet)]
        paths = []
        if self.authority:
            paths = [self.authority.folder / credentials.CA_KEY, *(self.authority.files(one)[1] for one in mine)]
        elif self.passwords:
            paths = [credentials.password_file(self.passwords, one) for one in mine]
        for path in paths:
            if path.exists() and open_to_others(path):
                yield Problem(path, None, "", "other users of this machine may read it", f"chmod 600 {path}")

    def doubts(self, orders: list[Order]) -> Iterator[Problem]:
        """What the broker's files allow beyond the orders, once they are written. Raises Problems."""
        if (folder := self.folder) is None:
            return
        for user, topic in other_topics(folder, _topics(orders)):
            what = f"user {user} may publish under {topic}, too"
            yield Problem(
                folder / ACCESS, None, "", what, "if no cabinet of his is there any more, take those lines out"
            )

    def _for(self, cabinet: Cabinet) -> bool:
        return bool(self.authority or self.passwords) and not cabinet.has_credentials


def _topics(orders: list[Order]) -> dict[str, list[str]]:
    """By user. Several gateways may be one user, where the table or the site file says so."""
    topics: dict[str, list[str]] = {}
    for order in orders:
        if user := _user(order):
            topics.setdefault(user, []).append(order.topic)
    return topics


def _user(order: Order) -> str:
    """By which name the broker knows it."""
    client = order.compiled.credentials.client
    return client.name if client else order.compiled.site.mqtt.user
