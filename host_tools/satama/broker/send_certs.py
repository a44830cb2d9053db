"""Certificates on their way to a gateway over its broker: judged here first, published as retained messages, the gateway's word awaited."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from ..core.problems import Wrong
from ..site_file.mqtt import Mqtt
from ..site_file.site import Site
from ..trust import certificates
from ..trust.certificates import Certificate
from . import live

Which = Literal["ca", "client"]
_MOST_BYTES = 2048  # of a message with its topic: what the gateway's parser takes (firmware, uplink/mqtt/packets.py)
_DIGITS = 16

_WAYS_OUT = {
    "wrong CA": "its broker's present certificate needs a CA that this would take away: send that one with it, --send OLD --send NEW",
    "certificate refused": "see what the broker presents: satama certs SITE --ask",
    "client certificate refused": "the broker does not take it: give the broker the CA that has signed it first, then send it again",
    "closed in the handshake": "most likely the broker does not take it: give it the CA first; or it was just restarted, then send it again",
    "closed by the broker": "most likely the broker does not take it; or it was just restarted, then send it again",
    "reset by the broker": "most likely the broker does not take it; or it was just restarted, then send it again",
    "another key's": "keys do not travel: have a certificate issued for the key in the site's client_key, or bring both with: satama deploy",
    "packet length": "somebody has sent it what is too large; take it away with --take-away; within a day the gateway asks again, or after a restart",
    "no right to subscribe": "the broker lets it not read its own certs/#: give it that right (mosquitto: topic read .../certs/#); within a day it asks again, or after a restart",
    "too little memory": "it is short of memory: send it again later, or bring it with: satama deploy",
}


@dataclass(frozen=True)
class Parcel:
    """What is to be published: `data` is DER, one certificate after the other; empty takes away what the gateway keeps."""

    which: Which
    topic: str
    data: bytes

    @property
    def digits(self) -> str:
        """As the gateway calls it in its events and in diag."""
        return hashlib.sha256(self.data).hexdigest()[:_DIGITS] if self.data else ""


@dataclass(frozen=True)
class Verdict:
    """`what`: kept, dropped, refused, or unheard; `why` is the gateway's, `way_out` is ours."""

    what: str
    why: str = ""
    way_out: str = ""


def parcel(site: Site, folder: Path, files: Sequence[Path], now: datetime) -> Parcel:
    """Of certificate files; CAs go to be trusted, another one is the gateway's own. Raises Wrong for what no gateway would take."""
    held = [one for path in files for one in certificates.read_certificates(path)]
    authorities = [one for one in held if _is_authority(one)]
    if not authorities and len(held) == 1:
        which: Which = "client"
        _require_own(site.mqtt, folder, held[0])
        doubts = list(certificates.doubts_about_client(held[0]))
    elif len(authorities) == len(held):
        which = "ca"
        doubts = [(f"{one.place} {what}", hint) for one in held for what, hint in certificates.doubts_about_ca(one)]
    else:
        other = next(one for one in held if one not in authorities)
        raise Wrong(
            f"{other.place} is no CA certificate",
            "send CA certificates together, or one client certificate alone",
        )
    for one in held:
        if one.ends <= now:
            raise Wrong(f"{one.place} ended on {one.ends:%Y-%m-%d}", "get the one that comes after it")
    if doubts:
        raise Wrong(*doubts[0])
    made = Parcel(which, _topic(site, which), b"".join(one.der for one in held))
    size = len(made.data) + len(made.topic.encode()) + 4
    if size > _MOST_BYTES:
        hint = "fewer at a time; EC P-256 certificates are the smallest, of RSA 2048 two go into one; or bring them with: satama deploy"
        raise Wrong(f"that is a message of {size} bytes, and gateways take {_MOST_BYTES}", hint)
    return made


def taken_away(site: Site, which: Which) -> Parcel:
    """What makes a gateway go back to the certificates of its site file."""
    return Parcel(which, _topic(site, which), b"")


def send(where: live.Access, sent: Parcel, wait_s: float) -> Verdict:
    """Publish it, retained, and wait for what the gateway says. Raises live.LiveError."""
    base = sent.topic.rsplit("/", 2)[0]
    filters = [f"{base}/event", f"{base}/diag"]
    with closing(live.messages(where, filters, wait_s, retained=[(sent.topic, sent.data)])) as arriving:
        for _, payload in arriving:
            verdict = _read(sent, payload)
            if verdict:
                return verdict
    return Verdict(
        "unheard",
        "",
        "the message is retained: the gateway gets it when it connects next; may this user publish there, and the gateway read it?",
    )


def _read(sent: Parcel, payload: bytes) -> Verdict | None:
    """What an event or a diag says of it, None for anything else."""
    try:
        said: Any = json.loads(payload)
    except ValueError:
        return None
    if not isinstance(said, dict):
        return None
    event, done = said.get("event"), "kept" if sent.data else "dropped"
    if event == f"certs_{done}" and said.get("which") == sent.which and said.get("sha256", "") == sent.digits:
        return Verdict(done)
    is_ours = (said.get("which") or sent.which) == sent.which and said.get("sha256", sent.digits) == sent.digits
    if event == "certs_refused" and is_ours:
        why = str(said.get("why", ""))
        return Verdict("refused", why, _WAYS_OUT.get(why, ""))
    uplink = said.get("uplink")
    if sent.data and isinstance(uplink, dict) and uplink.get(f"{sent.which}_next") == sent.digits:
        return Verdict("kept")
    return None


def _topic(site: Site, which: Which) -> str:
    return f"{site.mqtt.root}/{site.site.name}/{site.site.gateway}/certs/{which}"


def _is_authority(one: Certificate) -> bool:
    try:
        return bool(one.x509.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except x509.ExtensionNotFound:
        return False


def _require_own(mqtt: Mqtt, folder: Path, one: Certificate) -> None:
    """Raises Wrong when it is not for the gateway's key."""
    if not mqtt.client_cert:
        hint = "bring certificate and key with: satama deploy. Is it a CA's? Then basicConstraints CA:TRUE is missing"
        raise Wrong(f"{one.place} is no CA certificate, and the site has no client certificate to replace", hint)
    present = certificates.read_certificates(folder / mqtt.client_cert)[0]
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if one.x509.public_key().public_bytes(*form) != present.x509.public_key().public_bytes(*form):
        raise Wrong(
            f"{one.place} is no CA certificate, and for another key than {mqtt.client_cert}", _WAYS_OUT["another key's"]
        )
