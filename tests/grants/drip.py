"""A connection over which something comes all the time: drip.py serve PORT | take HOST PORT"""

import socket
import sys
import threading
import time


def serve(port):
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    while True:
        stream, _ = listener.accept()
        threading.Thread(target=drip, args=(stream,), daemon=True).start()


def drip(stream):
    try:
        while True:
            stream.sendall(b".")
            time.sleep(0.02)
    except OSError:
        pass


def take(host, port):
    stream = socket.create_connection((host, port), timeout=3)
    stream.settimeout(None)
    while stream.recv(100):
        print("drip", flush=True)


verb, *rest = sys.argv[1:]
{"serve": lambda: serve(int(rest[0])), "take": lambda: take(rest[0], int(rest[1]))}[verb]()
