"""Two kernels, a TUN each, and the pump between them: tuns.py PUMP WAY

Namespaces a and b have the ends of the tunnel; c is behind b, which masquerades and drops what its
connection tracking calls invalid. Everything sent is compared byte for byte, and no kernel may have
counted a wrong sum.
"""

import ctypes
import fcntl
import hashlib
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
TUN, NO_PI, VNET_HDR = 0x0001, 0x1000, 0x4000
CSUM, TSO4, TSO6, USO4, USO6 = 1, 2, 4, 0x20, 0x40
UDP_SEGMENT = 103
libc = ctypes.CDLL(None, use_errno=True)


def enter(ns):
    if libc.setns(ns, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def namespace():
    if libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    run("ip link set lo up")
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY)


def run(command, given=None):
    subprocess.run(command.split(), check=True, input=given, text=True)


def tun(address, peer):
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"tun0", TUN | NO_PI | VNET_HDR))
    fcntl.ioctl(device, TUNSETOFFLOAD, CSUM | TSO4 | TSO6 | USO4 | USO6)
    run("ip link set tun0 mtu 1400 up")
    run(f"ip -6 addr add fd00:1::{address}/64 dev tun0 nodad preferred_lft 0")
    run(f"ip addr add 10.9.0.{address}/24 dev tun0")
    return device


def sysctl(name, value):
    with open("/proc/sys/net/" + name, "w") as file:
        file.write(value)


def build():
    c = namespace()
    b = namespace()
    # A process of c, by whose id the other end of the cable finds it.
    holder = subprocess.Popen(["cat"], stdin=subprocess.PIPE, preexec_fn=lambda: enter(c))
    try:
        run(f"ip link add e0 type veth peer name e0 netns {holder.pid}")
        run("ip addr add 10.8.0.1/24 dev e0")
        run("ip link set e0 up")
        sysctl("ipv4/ip_forward", "1")
        run("nft -f -", NAT)
        right = tun(2, 1)
        enter(c)
        run("ip addr add 10.8.0.2/24 dev e0")
        run("ip link set e0 up")
        a = namespace()
        left = tun(1, 2)
        run("ip route add default via 10.9.0.2")
    finally:
        holder.kill()
        holder.wait()
    return a, b, c, left, right


NAT = """table ip nat {
 chain out { type nat hook postrouting priority 100; oifname "e0" masquerade; }
 chain pass { type filter hook forward priority 0; ct state invalid drop; }
}
"""


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def within(ns, work):
    """A thread stays where it is: what it opens belongs to that namespace."""
    answer = []

    def body():
        enter(ns)
        try:
            answer.append(work())
        except Exception as why:
            answer.append(why)

    thread = threading.Thread(target=body)
    thread.start()
    return thread, answer


def tcp(here, there, address, size):
    enter(there)
    listener = socket.create_server((address, 0), family=family(address))
    listener.settimeout(20)
    port = listener.getsockname()[1]

    def receive():
        stream, _ = listener.accept()
        stream.settimeout(20)
        seen, count = hashlib.blake2b(), 0
        while data := stream.recv(1 << 18):
            seen.update(data)
            count += len(data)
        stream.sendall(seen.digest())
        stream.close()
        return count

    thread, got = within(there, receive)
    enter(here)
    begin = time.monotonic()
    stream = socket.create_connection((address, port), timeout=20)
    block, sent = os.urandom(1 << 20), hashlib.blake2b()
    for _ in range(size):
        stream.sendall(block)
        sent.update(block)
    stream.shutdown(socket.SHUT_WR)
    back = stream.recv(64, socket.MSG_WAITALL)
    rate = size * 8.389 / (time.monotonic() - begin)
    thread.join()
    assert got == [size << 20], got
    assert back == sent.digest(), "other bytes arrived than were sent"
    return f"{size} MiB, {rate:.0f} Mbit/s"


def udp(here, there, address, segment, length):
    """Datagrams, handed to the kernel as one if `segment` says so."""
    enter(there)
    receiver = socket.socket(family(address), socket.SOCK_DGRAM)
    receiver.bind((address, 0))
    receiver.settimeout(10)
    enter(here)
    sender = socket.socket(family(address), socket.SOCK_DGRAM)
    sender.connect(receiver.getsockname())
    if segment:
        sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, segment)
    count = 0
    for _ in range(40):
        data = os.urandom(length)
        sender.send(data)
        parts = [data[at : at + segment] for at in range(0, length, segment)] if segment else [data]
        for part in parts:
            assert receiver.recv(70000) == part, "another datagram arrived than was sent"
            count += 1
    return f"{count} datagrams"


def ping(here, address, length):
    enter(here)
    v6 = ":" in address
    proto = socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP
    raw = socket.socket(family(address), socket.SOCK_RAW, proto)
    raw.connect((address, 0))
    body = struct.pack(">BBHHH", 128 if v6 else 8, 0, 0, 7, 1) + os.urandom(length)
    if not v6:
        total = sum(struct.unpack(f">{len(body) // 2}H", body))
        total = (total & 0xFFFF) + (total >> 16)
        total = (total & 0xFFFF) + (total >> 16)
        body = body[:2] + struct.pack(">H", total ^ 0xFFFF) + body[4:]
    raw.send(body)
    end = time.monotonic() + 10
    while select.select([raw], [], [], max(0, end - time.monotonic()))[0]:
        answer = raw.recv(70000)
        answer = answer if v6 else answer[20:]
        if answer[0] == (129 if v6 else 0) and answer[8:] == body[8:]:
            return "answered"
    raise AssertionError("no answer")


def wrong_sums(ns):
    """What a kernel counted as wrong, by name."""
    wrong = {}
    enter(ns)
    with open("/proc/thread-self/net/snmp") as file:
        lines = file.read().splitlines()
    with open("/proc/thread-self/net/snmp6") as file:
        wrong.update((name, int(value)) for name, value in map(str.split, file))
    for names, values in zip(lines[::2], lines[1::2]):
        group = names.split(":")[0]
        pairs = zip(names.split()[1:], map(int, values.split()[1:]))
        wrong.update((group + name, value) for name, value in pairs)
    return {name: value for name, value in wrong.items() if value and name.endswith(("CsumErrors", "InHdrErrors"))}


def received(ns):
    """Packets that came out of the tunnel, a large one counting once."""
    enter(ns)
    with open("/proc/thread-self/net/dev") as file:
        return next(int(line.split()[2]) for line in file if line.strip().startswith("tun0:"))


def main():
    pump, way = sys.argv[1:]
    a, b, c, left, right = build()
    running = subprocess.Popen([pump, way], stdin=left, stdout=right, stderr=subprocess.PIPE, text=True)
    try:
        for to, ns, name in (("fd00:1::2", b, "IPv6"), ("10.9.0.2", b, "IPv4"), ("10.8.0.2", c, "exit")):
            print(way, name, "tcp", tcp(a, ns, to, 24), flush=True)
            print(way, name, "udp", udp(a, ns, to, 0, 1200), flush=True)
            print(way, name, "udp joined", udp(a, ns, to, 1000, 20500), flush=True)
            print(way, name, "udp of four pieces", udp(a, ns, to, 0, 5000), flush=True)
            print(way, name, "ping", ping(a, to, 56), flush=True)
            print(way, name, "ping of three pieces", ping(a, to, 3000), flush=True)
        before = received(a)
        print(way, "back", tcp(b, a, "fd00:1::1", 24), flush=True)
        writes = received(a) - before
        print(way, "back", writes, "writes", flush=True)
        assert writes < (24 << 20) // 1240 // 4, "nothing was joined"
        for ns in (a, b, c):
            assert not wrong_sums(ns), wrong_sums(ns)
        assert running.poll() is None, "the pump has stopped"
    finally:
        running.kill()
        complaints = running.stderr.read()
        running.wait()
    assert not complaints, complaints


if __name__ == "__main__":
    main()
