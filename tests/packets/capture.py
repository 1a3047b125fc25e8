"""Writes docs/formats/packets/vectors/linux.json: what one Linux kernel hands to a TUN with offloads, and
what another makes of it when it has to send it out of one without: capture.py > linux.json
"""

import fcntl
import json
import os
import select
import socket
import struct
import sys
import threading
import time

from tuns import NO_PI, TUN, TUNSETIFF, UDP_SEGMENT, build, enter, family, namespace, run, sysctl, tun

PATTERN = bytes((i * 7 + i // 251) & 255 for i in range(4000))
KINDS = {(6, 0): "TCP", (6, 1): "TCP large", (6, 4): "TCP large", (17, 0): "UDP", (17, 5): "UDP large"}


def protocol(packet):
    return packet[6 if packet[0] >> 4 == 6 else 9]


def folded(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def passed_on(packet):
    """With the hop limit that a router leaves."""
    packet = bytearray(packet)
    if packet[0] >> 4 == 6:
        packet[7] -= 1
    else:
        packet[8] -= 1
        packet[10:12] = bytes(2)
        packet[10:12] = struct.pack(">H", 0xFFFF ^ folded(packet[:20]))
    return packet


def frames():
    """Read from a TUN while somebody talks through it."""
    a, b, _, left, right = build()
    seen, over = [], threading.Event()

    def copy(source, to, record):
        while not over.is_set():
            if select.select([source], [], [], 0.2)[0]:
                frame = os.read(source, 70000)
                record.append(frame)
                os.write(to, frame)

    copies = [threading.Thread(target=copy, args=way) for way in ((left, right, seen), (right, left, []))]
    for thread in copies:
        thread.start()
    for address in ("fd00:1::2", "10.9.0.2"):
        enter(b)
        listener = socket.create_server((address, 5000), family=family(address))
        sink = socket.socket(family(address), socket.SOCK_DGRAM)
        sink.bind((address, 5001))
        enter(a)
        stream = socket.create_connection((address, 5000))
        peer, _ = listener.accept()
        for length in (200, 3300):
            stream.sendall(PATTERN[:length])
            peer.recv(length, socket.MSG_WAITALL)
        datagrams = socket.socket(family(address), socket.SOCK_DGRAM)
        datagrams.connect((address, 5001))
        datagrams.send(PATTERN[:99])
        datagrams.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 500)
        datagrams.send(PATTERN[:1333])
        for _ in range(4):
            sink.recv(4000)
    over.set()
    for thread in copies:
        thread.join()
    return seen


def judged(frame, way_in, way_out):
    """The packets that a kernel without offloads sends on."""
    while select.select([way_out], [], [], 0.05)[0]:
        os.read(way_out, 70000)
    os.write(way_in, frame)
    packets = []
    while select.select([way_out], [], [], 0.3)[0]:
        packet = os.read(way_out, 70000)
        if protocol(packet) == protocol(frame[10:]):
            packets.append(packet)
    return packets


def main():
    found = {}
    seen = frames()
    namespace()
    way_in = tun(9, 0)
    way_out = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(way_out, TUNSETIFF, struct.pack("16sH22x", b"tun1", TUN | NO_PI))
    run("ip link set tun1 mtu 1400 up")
    run("ip -6 route add fd00:1::2/128 dev tun1")
    run("ip route add 10.9.0.2/32 dev tun1")
    sysctl("ipv4/ip_forward", "1")
    sysctl("ipv6/conf/all/forwarding", "1")
    time.sleep(1)
    for frame in seen:
        packet = frame[10:]
        kind = KINDS.get((protocol(packet), frame[1]))
        name = f"IPv{packet[0] >> 4} {kind}"
        # A TCP packet with something in it.
        if kind is None or name in found or (kind == "TCP" and len(packet) < 200):
            continue
        packets = [packet.hex() for packet in judged(frame, way_in, way_out)]
        found[name] = {"virtio": frame[:10].hex(), "packet": passed_on(packet).hex(), "packets": packets}
    json.dump(found, sys.stdout, indent=1)
    print()


main()
