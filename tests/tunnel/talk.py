"""Programs that talk through the tunnel: talk.py serve PORT | take HOST PORT BYTES | drip HOST PORT |
hear PORT | send FROM TO PORT WORD
"""

import hashlib
import socket
import sys
import threading
import time

BLOCK = bytes(i * 7 + i // 251 & 255 for i in range(1 << 16))


def serve(port):
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    print("serving", flush=True)
    while True:
        stream, _ = listener.accept()
        threading.Thread(target=answer, args=(stream,), daemon=True).start()


def answer(stream):
    """So many bytes, or bytes without an end if none are named."""
    try:
        left = int(stream.recv(20) or 0) or 1 << 60
        while left:
            left -= stream.send(BLOCK[: min(left, len(BLOCK))])
        stream.close()
    except OSError:
        pass


def connect(host, port):
    return socket.create_connection((host, port), timeout=20)


def take(host, port, count):
    begun = time.monotonic()
    stream = connect(host, port)
    stream.sendall(str(count).encode())
    got, seen = 0, hashlib.sha256()
    while data := stream.recv(1 << 18):
        seen.update(data)
        got += len(data)
    wanted = hashlib.sha256()
    left = count
    while left:
        wanted.update(BLOCK[: min(left, len(BLOCK))])
        left -= min(left, len(BLOCK))
    assert got == count and seen.digest() == wanted.digest(), f"{got} of {count} bytes, or others"
    seconds = time.monotonic() - begun
    print(f"took {got >> 20} MiB, {got * 8 / seconds / 1e6:.0f} Mbit/s", flush=True)


def drip(host, port):
    """A line whenever something came, at most every 20 ms."""
    stream = connect(host, port)
    stream.settimeout(None)
    stream.sendall(b"0")
    told = 0
    while stream.recv(1 << 18):
        if time.monotonic() - told > 0.02:
            told = time.monotonic()
            print("drip", flush=True)


def hear(port):
    """A line for each datagram: who it says that it is from, and the word in it."""
    listener = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.bind(("::", port))
    print("hearing", flush=True)
    while True:
        word, source = listener.recvfrom(2048)
        print(f"heard {source[0]} {word.decode()}", flush=True)


def send(source, host, port, word):
    """A datagram from an address that this machine has, whoever else has it as well."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sender = socket.socket(family, socket.SOCK_DGRAM)
    sender.bind((source, 0))
    sender.sendto(word.encode(), (host, port))


verb, *rest = sys.argv[1:]
{"serve": lambda: serve(int(rest[0])), "take": lambda: take(rest[0], int(rest[1]), int(rest[2])),
 "drip": lambda: drip(rest[0], int(rest[1])), "hear": lambda: hear(int(rest[0])),
 "send": lambda: send(rest[0], rest[1], int(rest[2]), rest[3])}[verb]()
