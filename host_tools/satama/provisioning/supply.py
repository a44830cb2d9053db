"""Credentials for the rows that bring none: looked through before anything is written, made, and told to the broker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..problems import Problem, Wrong
from . import credentials
from .broker_files import write_access, write_passwords
from .cabinets import Cabinet, Table
from .prepare import Order


@dataclass(frozen=True)
class Supply:
    """Where credentials come from: certificates by a CA, passwords in a folder, or neither."""

    authority: credentials.Authority | None = None
    passwords: Path | None = None

    def check(self, table: Table, orders: list[Order]) -> Iterator[Problem]:
        """What stands in the way of making them, with row. Writes nothing."""
        for order in orders:
            cabinet, mqtt = order.cabinet, order.compiled.site.mqtt
            if not self._for(cabinet):
                continue
            try:
                if self.authority:
                    credentials.check_certificate(self.authority, cabinet)
                    if mqtt.insecure:
                        hint = f"remove insecure = true from {cabinet.site.name}, or --make-passwords"
                        raise Wrong("a client certificate needs TLS, but the site says insecure = true", hint)
                elif self.passwords:
                    credentials.check_password(self.passwords, cabinet)
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
        folder = self.authority.folder if self.authority else self.passwords
        if folder is None:
            return []
        topics = {user: order.topic for order in orders if (user := _user(order))}
        written = [write_access(folder, topics)]
        if self.passwords:
            made = {o.cabinet.mqtt_user: o.cabinet.mqtt_password for o in orders if o.cabinet.mqtt_password}
            written.append(write_passwords(folder, made))
        return written

    def _for(self, cabinet: Cabinet) -> bool:
        return bool(self.authority or self.passwords) and not cabinet.has_credentials


def _user(order: Order) -> str:
    """By which name the broker knows it."""
    client = order.compiled.credentials.client
    return client.name if client else order.compiled.site.mqtt.user
