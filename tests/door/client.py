"""Clients that curl is not: a WebSocket, many requests at once, a listener on the wire.

    client.py socket CA ADDRESS PORT HOST            says hi until the connection ends
    client.py many CA ADDRESS PORT HOST              asks until standard input ends; how many answers, how many failed
    client.py listen DEVICE FILE                     writes all packets into the file until standard input ends
"""

import http.client
import os
import select
import socket
import ssl
import sys
import threading


def connect(ca, address, port, host):
    context = ssl.create_default_context(cafile=ca)
    plain = socket.create_connection((address, int(port)), timeout=10)
    return context.wrap_socket(plain, server_hostname=host)


def websocket(ca, address, port, host):
    stream = connect(ca, address, port, host)
    stream.sendall(
        f"GET /socket HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    came = b""
    while not came.endswith(b"hello"):
        piece = stream.recv(4096)
        if not piece:
            sys.exit(f"no WebSocket: {came!r}")
        came += piece
    while True:
        try:
            stream.sendall(b"\x81\x82\0\0\0\0hi")
            answer = stream.recv(64)
        except OSError:
            answer = b""
        if not answer:
            print("cut", flush=True)
            return
        print(answer[2:].decode(), flush=True)
        if ended(0.2):
            return


def ended(wait):
    ready, _, _ = select.select([sys.stdin], [], [], wait)
    return bool(ready) and not sys.stdin.buffer.raw.read(1)


class Kept(http.client.HTTPConnection):
    """HTTPS to an address, by the name of a host, on a connection that is kept."""

    def __init__(self, *where):
        super().__init__(where[3])
        self.where = where

    def connect(self):
        self.sock = connect(*self.where)


def many(*where):
    count, stop = {"good": 0, "bad": 0}, threading.Event()
    lock = threading.Lock()

    def ask():
        client = Kept(*where)
        while not stop.is_set():
            try:
                client.request("GET", "/")
                answer = client.getresponse()
                answer.read()
                good = answer.status == 200
            except (OSError, http.client.HTTPException) as error:
                print(error, file=sys.stderr, flush=True)
                good = False
                client.close()
            with lock:
                count["good" if good else "bad"] += 1

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    while not ended(1):
        pass
    stop.set()
    for thread in threads:
        thread.join()
    print(count["good"], count["bad"], flush=True)


def listen(device, file):
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    wire.bind((device, 0))
    with open(file, "wb") as out:
        print("listening", flush=True)
        while True:
            ready, _, _ = select.select([wire, sys.stdin], [], [])
            if wire in ready:
                out.write(wire.recv(65535))
            elif not os.read(0, 1):
                return


{"socket": websocket, "many": many, "listen": listen}[sys.argv[1]](*sys.argv[2:])
