"""A real mosquitto with the files that provisioning writes: each gateway gets in, and publishes under its own topic only."""

import time

import pytest
from cabinet_tables import PLAIN, write_site, write_table
from paho.mqtt import client as mqtt

from satama.provisioning.broker_files import ACCESS, PASSWORDS, write_passwords
from satama.provisioning.cabinets import read_table
from satama.provisioning.prepare import check_all, compile_cabinet
from satama.provisioning.supply import Supply
from satama_sim.broker.mosquitto import Mosquitto, MosquittoMissing
from satama_sim.pytest_plugin import missing


class Guarded(Mosquitto):
    """With the password file and the access list of a folder, and a reader of everything."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def _configuration(self, port):
        return super()._configuration(port).replace("allow_anonymous true", "allow_anonymous false")

    def _security(self):
        return [f"password_file {self.folder / PASSWORDS}", f"acl_file {self.folder / ACCESS}"]


class Client:
    """Connected, or refused with `code`."""

    def __init__(self, port, user, password):
        self.got, self.code, self.done = [], None, set()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self.client.username_pw_set(user, password)
        self.client.on_connect = lambda _, __, ___, code, ____: setattr(self, "code", code)
        self.client.on_message = lambda _, __, message: self.got.append((message.topic, message.payload))
        self.client.on_publish = lambda _, __, mid, ___, ____: self.done.add(mid)
        self.client.on_subscribe = lambda _, __, mid, ___, ____: self.done.add(mid)
        self.client.connect("127.0.0.1", port)
        self.until(lambda: self.code is not None)

    def until(self, ready):
        end = time.monotonic() + 20
        while not ready():
            assert time.monotonic() < end, "the broker does not answer"
            self.client.loop(0.02)

    def publish(self, topic):
        mid = self.client.publish(topic, b"x", qos=1).mid
        self.until(lambda: mid in self.done or not self.client.is_connected())

    def subscribe(self, topic):
        mid = self.client.subscribe(topic, 1)[1]
        self.until(lambda: mid in self.done)

    def close(self):
        self.client.disconnect()


@pytest.fixture
def folder(tmp_path):
    write_site(tmp_path, PLAIN)
    table = read_table(write_table(tmp_path, "gateway,site", "cab-1,site.toml", "cab-2,site.toml"))
    (tmp_path / ACCESS).write_text("user team\ntopic readwrite district/#\n")
    supply = Supply(passwords=tmp_path)
    orders, _ = check_all(table)
    orders = [compile_cabinet(table, supply.supplied(order.cabinet), write_ids=False) for order in orders]
    supply.tell_broker(orders)
    write_passwords(tmp_path, {"team": "reads-all"})
    return tmp_path, [order.compiled.body["mqtt"]["password"] for order in orders]


def test_a_gateway_speaks_for_itself_and_for_nobody_else(folder):
    path, (one, two) = folder
    broker = Guarded(path)
    try:
        broker.start()
    except MosquittoMissing as error:
        missing(str(error))
    clients = []

    def connect(user, password):
        clients.append(Client(broker.port, user, password))
        return clients[-1]

    try:
        assert connect("cab-1", two).code.is_failure and connect("cab-1", "").code.is_failure
        team, first = connect("team", "reads-all"), connect("cab-1", one)
        assert not first.code.is_failure and not connect("cab-2", two).code.is_failure
        bold = connect("cab-1", one)
        team.subscribe("district/#")
        first.subscribe("district/#")
        first.subscribe("district/v1/yard/cab-1/cmd/#")
        bold.publish(
            "district/v1/yard/cab-2/state"
        )  # MQTT 3.1.1 section 3.3.5: acknowledged or disconnected, never told
        first.publish("district/v1/yard/cab-1/state")
        team.until(lambda: team.got)
        assert team.got == [("district/v1/yard/cab-1/state", b"x")], "what it published as another came through"
        team.publish("district/v1/yard/cab-2/cmd/valve")
        team.publish("district/v1/yard/cab-1/cmd/valve")
        first.until(lambda: first.got)
        assert [topic for topic, _ in first.got] == ["district/v1/yard/cab-1/cmd/valve"]
    finally:
        for client in clients:
            client.close()
        broker.stop()
