"""Runs on the device in the place of main.py: what one writes with stock umqtt.simple. Publishes the packets of a file, one after the other."""

import json
import socket
import time

import network
from umqtt.simple import MQTTClient


def publish_all():
    with open("/settings.json") as file:
        ssid, password, host, port, nodelay = json.load(file)
    wlan = network.WLAN(network.STA_IF)
    wlan.active(True)
    wlan.connect(ssid, password)
    while not wlan.isconnected():
        time.sleep_ms(100)
    client = MQTTClient(b"sequential", host, port)
    client.connect()
    if nodelay:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    count = 0
    with open("/packets.bin", "rb") as file:
        while True:
            head = file.read(4)
            if not head:
                return count
            topic = file.read(head[0] << 8 | head[1])
            client.publish(topic, file.read(head[2] << 8 | head[3]), qos=1)
            count += 1


print("ended", publish_all())
