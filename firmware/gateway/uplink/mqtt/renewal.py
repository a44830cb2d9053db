"""Certificates that come over the broker, beside those of the site: asked for, tried, kept when a connection has proved them.

`<gateway>/certs/ca`       CA certificates (DER, one after the other) to be trusted beside the site's, so that the broker may change to another CA
`<gateway>/certs/client`   the gateway's next client certificate (DER), for the key that it has; keys never travel

An empty message takes away what was kept. Whatever comes must stand a new connection to the broker before it counts, and until then lies
in RAM only; if it does not, what was before goes on. Retained messages are meant to be: this says how things are, it is no command.
Wanted with TLS only.
"""

import hashlib
from binascii import hexlify

from micropython import const

from gateway.core import lend

CA, CLIENT = "ca", "client"
_AS_SENT = const(16)  # digits of a SHA-256 by which people know a certificate
_SUBSCRIBE = const(0x82)  # MQTT 3.1.1, section 3.8
_MOST_UNANSWERED = const(
    3
)  # connections in a row that ended between SUBSCRIBE and SUBACK: some brokers hang up on who may not
_SILENT_MS = const(86400000)  # then, or after a message that no parser takes, nothing is asked for
# Words of tls.py and client.py for a broker that is not believed, and for one that does not take our certificate
_NOT_THEM = ("wrong CA", "certificate refused")
_NOT_US = (
    "client certificate refused",
    "closed in the handshake",
    "closed by the broker",
    "reset by the broker",
    "refused: user or password",
    "refused: not authorised",
)


def digits(data):
    """How people name a certificate, or several: the beginning of their SHA-256."""
    return hexlify(hashlib.sha256(data).digest()).decode()[:_AS_SENT] if data else ""


class Renewal:
    """`spec`: the compiled site's "mqtt"; `topic`: where all comes, bytes; `note(event)` tells what has become of it, and
    `stalled_since(ms)` is told since when flash was written.
    """

    def __init__(self, spec, topic, note, clock, stalled_since):
        self._spec = spec
        self._note = note
        self._clock = clock
        self._stalled_since = stalled_since
        self._base = topic + b"/"
        self._kept = None  # {which: digits}
        self._trial = None  # (which, data)
        self._refused = {}  # by what they are, the digits of the last one
        self._is_second = False  # the other client certificate has just been refused
        self._is_own = False  # the turn is the site's own client certificate's, though another one is kept
        self._asked = 0  # id of the SUBSCRIBE without an answer
        self._unanswered = 0
        self._silent_until_ms = 0  # of uptime; 0: we ask
        self._is_new = False  # what is on trial has no connection yet
        self.is_stale = True  # what take() gave last does not count any more

    @property
    def is_deaf(self):
        """Nothing is asked for: the broker has dropped the connection over it."""
        return self._clock.uptime_ms() < self._silent_until_ms

    @property
    def is_due(self):
        """Connect anew: something is to be tried, or to be asked for again."""
        return self._is_new or self._silent_until_ms > 0 and not self.is_deaf

    # --- which certificates a connection has

    def take(self):
        """(CA certificates in a list, client certificate or b"") that are to be used beside the site's, or before it, from now on."""
        files = _files()
        held = {CA: files.read(CA, self._spec), CLIENT: files.read(CLIENT, self._spec)}
        if self._kept is None:
            for which in (CA, CLIENT):
                if held[which] is None:
                    self._tell("dropped", which)
        self._kept = {which: digits(held[which]) for which in held}
        if self._trial:
            which, held[which] = self._trial
        self._is_new = self.is_stale = False
        return files.several(held[CA] or b""), b"" if self._is_own else held[CLIENT] or b""

    def connected(self, number):
        """The broker and we have taken each other: what was on trial is kept. Gives the SUBSCRIBE packet, b"" for none; `number`: its id."""
        self._is_second = False
        if self._trial and not self._is_new:
            (which, data), self._trial = self._trial, None
            started = self._clock.uptime_ms()
            why = _files().write(which, data, self._spec)
            self._stalled_since(started)
            if why:
                self._refuse(which, data, why)
                self.is_stale = True
            else:
                self._kept[which] = digits(data)
                self._refused.pop(which, None)
                self._tell("kept" if data else "dropped", which)
        if self.is_deaf:
            return b""
        self._silent_until_ms = 0
        return self._ask(number)

    def failed(self, reason):
        """No connection, for that reason. True: there is something else to be tried at once."""
        trial = self._trial
        if trial and not self._is_new and (reason in _NOT_US or reason in _NOT_THEM):
            self._trial = None
            self.is_stale = True
            self._refuse(trial[0], trial[1], reason)
            return True
        kept = self._kept and self._kept[CLIENT]
        if not kept or reason not in _NOT_US:
            self._is_second = False
            return False
        if self._refused.get(CLIENT) != kept:
            self._refused[CLIENT] = kept
            self._note({"event": "certs_refused", "which": CLIENT, "sha256": kept, "why": reason})
        self._is_own = not self._is_own
        self._is_second = not self._is_second
        self.is_stale = True
        return self._is_second

    @property
    def ca_next(self):
        """Digits of the CA certificates that are trusted beside the site's."""
        return self._kept[CA] if self._kept else ""

    @property
    def client_next(self):
        """Digits of the client certificate that is used in the place of the site's."""
        return self._kept[CLIENT] if self._kept and not self._is_own else ""

    # --- what the broker is asked for, and what it sends

    def _ask(self, number):
        """For what is sent to us at QoS 1."""
        self._asked = number
        topic = self._base + b"+"
        size = len(topic) + 5
        length = bytes((size,)) if size < 0x80 else bytes((size & 0x7F | 0x80, size >> 7))
        return b"".join(
            (bytes((_SUBSCRIBE,)), length, number.to_bytes(2, "big"), len(topic).to_bytes(2, "big"), topic, b"\1")
        )

    def answered(self, number):
        """A SUBACK has come; False: to nothing that was asked."""
        asked, self._asked = self._asked, 0
        self._unanswered = 0
        return asked == number and asked > 0

    def closed(self, why):
        """The connection is over; `why`: what was forbidden in what the broker sent, or ""."""
        if self._asked:
            self._unanswered += 1
        self._asked = 0
        if (why == "packet length" or self._unanswered >= _MOST_UNANSWERED) and not self._silent_until_ms:
            self._silent_until_ms = self._clock.uptime_ms() + _SILENT_MS
            self._note({"event": "certs_refused", "which": "", "why": why or "no right to subscribe"})

    def came(self, topic, data, retained):
        """A message. A retained one comes at every connect, and is news only once."""
        which = CA if topic == self._base + b"ca" else CLIENT if topic == self._base + b"client" else ""
        if not which or self._trial or self._kept is None:
            return  # what cannot be tried now comes again with the connection that tries the other one
        said = digits(data)
        if said == self._kept[which]:
            if not retained:
                self._tell("kept" if data else "dropped", which)
        elif not retained or said != self._refused.get(which):
            why = data and _files().judge(which, data, self._spec)
            if why:
                self._refuse(which, data, why)
            else:
                self._trial = (which, data)
                self._is_new = self.is_stale = True

    def _refuse(self, which, data, why):
        self._refused[which] = digits(data)
        self._note({"event": "certs_refused", "which": which, "sha256": digits(data), "why": why})

    def _tell(self, what, which):
        told = {"event": "certs_" + what, "which": which}
        if what == "kept":
            told["sha256"] = self._kept[which]
        self._note(told)


def _files():
    from gateway.uplink.mqtt import kept_certificates

    lend.drop("uplink.mqtt.kept_certificates", "uplink.mqtt.x509")
    return kept_certificates
