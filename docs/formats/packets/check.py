#!/usr/bin/env python3
"""Reads the vectors of packets by docs/formats/packets.md alone, with none of Freehold's code.

Cuts what a kernel handed over and finishes the sums, and has the packets that the kernel made by itself;
splits frames and joins their parts. Exit code 0 if all is as it should be.

    python3 docs/formats/packets/check.py
"""

import json
import pathlib
import struct

HERE = pathlib.Path(__file__).parent / "vectors"
TCP, UDP = 6, 17
FIN, PSH, CWR = 1, 8, 128


def un(text):
    return bytes.fromhex(text)


def folded(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def parts_of(packet):
    """Version, where TCP or UDP begins, protocol, addresses: of packets without options of IP."""
    if packet[0] >> 4 == 6:
        return 6, 40, packet[6], packet[8:40]
    assert packet[0] == 0x45
    return 4, 20, packet[9], packet[12:20]


def pseudo(packet):
    _, start, proto, addresses = parts_of(packet)
    return folded(bytes(addresses) + struct.pack(">II", proto, len(packet) - start))


def cut(virtio, packet):
    """The segments, sums partial."""
    flags, kind, _, size, start, place = struct.unpack("<BBHHHH", virtio)
    assert flags == 1
    version, own_start, proto, _ = parts_of(packet)
    assert (start, place) == (own_start, 16 if proto == TCP else 6)
    heads = start + ((packet[start + 12] >> 4) * 4 if proto == TCP else 8)
    payload = packet[heads:]
    size = size if kind else len(payload)
    segments = []
    for at in range(0, len(payload), size):
        part = payload[at : at + size]
        head = bytearray(packet[:heads])
        if proto == TCP:
            number = struct.unpack_from(">I", packet, start + 4)[0]
            struct.pack_into(">I", head, start + 4, (number + at) % 2**32)
            if at + size < len(payload):
                head[start + 13] &= ~(FIN | PSH)
            if at:
                head[start + 13] &= ~CWR
        else:
            struct.pack_into(">H", head, start + 4, 8 + len(part))
        if version == 6:
            struct.pack_into(">H", head, 4, heads - 40 + len(part))
        else:
            ident = struct.unpack_from(">H", packet, 4)[0]
            struct.pack_into(">HH", head, 2, heads + len(part), (ident + at // size) % 2**16)
            struct.pack_into(">H", head, 10, 0)
            struct.pack_into(">H", head, 10, 0xFFFF ^ folded(bytes(head[:20])))
        segment = head + part
        struct.pack_into(">H", segment, start + place, pseudo(segment))
        segments.append(bytes(segment))
    return segments


def finish(packet):
    _, start, proto, _ = parts_of(packet)
    place = start + (16 if proto == TCP else 6)
    assert struct.unpack_from(">H", packet, place)[0] == pseudo(packet), "not a partial sum"
    whole = 0xFFFF ^ folded(packet[start:])
    whole = whole or (0xFFFF if proto == UDP else 0)
    return packet[:place] + struct.pack(">H", whole) + packet[place + 2 :]


def split(frame, ident, room):
    if len(frame) <= room:
        return [frame]
    count = -(-len(frame) // (room - 5))
    size = -(-len(frame) // count)
    parts = [frame[at : at + size] for at in range(0, len(frame), size)]
    return [struct.pack(">BHBB", 2, ident, at, len(parts)) + part for at, part in enumerate(parts)]


def join(datagrams):
    if len(datagrams) == 1 and datagrams[0][0] != 2:
        return datagrams[0]
    parts = {}
    for datagram in datagrams:
        kind, ident, number, of = struct.unpack_from(">BHBB", datagram)
        assert kind == 2 and number < of == len(datagrams) <= 64
        parts[number] = datagram[5:]
    frame = b"".join(parts[number] for number in range(len(datagrams)))
    assert frame[0] in (0, 1)
    return frame


def main():
    linux = json.loads((HERE / "linux.json").read_text())
    for name, case in linux.items():
        segments = cut(un(case["virtio"]), un(case["packet"]))
        assert [finish(segment) for segment in segments] == list(map(un, case["packets"])), name
    frames = json.loads((HERE / "frames.json").read_text())
    for case in frames:
        frame = bytes([case["kind"]]) + un(case["packet"])
        datagrams = list(map(un, case["datagrams"]))
        assert split(frame, case["id"], case["room"]) == datagrams
        assert join(datagrams[::-1]) == frame
        assert all(len(datagram) <= case["room"] for datagram in datagrams)
        if case["kind"] == 1:
            finish(un(case["packet"]))
    print(f"{len(linux)} of Linux, {len(frames)} frames: all as it should be")


main()
