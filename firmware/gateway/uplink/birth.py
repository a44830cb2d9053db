"""Who we are: the names under which we publish. What the births say, hello.py knows, which is there while we say it."""

import json

from gateway.core import lend
from gateway.core.schema import CLASS_NAMES


class Birth:
    """`site`: the body of a compiled site, "schema" filled in; `aliases`: see packer.Packer; `texts`: [device, name, text], growing: what
    identifies the devices."""

    def __init__(self, site, aliases, texts, epoch, version):
        self.site = site
        self.aliases = aliases
        self.texts = texts
        self.epoch = epoch
        self.version = version
        self._base = "{}/{}/{}/".format(site["root"], site["site"], site["gateway"])
        self.base_name = "{}:{}:".format(site["site"], site["gateway"])
        self.client_id = "{}-{}".format(site["site"], site["gateway"]).encode()

    def topic(self, tail):
        return (self._base + tail).encode()

    def state(self, online):
        """The payload of `state`, and with False of the Will."""
        from gateway.uplink import hello

        try:
            return hello.state(self, online)
        finally:
            lend.drop("uplink.hello")

    def messages(self):
        """Yield (topic, pieces) of the births and of the state behind them: whoever sees us online can read what follows."""
        from gateway.uplink import hello

        lend.drop(
            "uplink.hello"
        )  # it stays with us as long as we yield, and with the messages until they are acknowledged
        for message in hello.messages(self):
            yield message

    def schema(self, schema):
        """(topic, pieces) of a schema: what the numbers in a compact packet mean."""
        streams = [[schema.ids[at], exponent] for at, exponent in enumerate(schema.exponents)]
        said = {"class": CLASS_NAMES[schema.cls], "period_s": schema.period, "streams": streams}
        return self.topic("schema/{:08x}".format(schema.id)), lambda: (json.dumps(said).encode(),)
