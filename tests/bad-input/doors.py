"""Connections that hold places and ask nothing: doors.py KIND HOST PORT COUNT [ACCESS_KEY_ID]

Opens COUNT connections, says so, and keeps them until all are closed by the other side or standard
input ends; then says how long that took."""

import selectors
import socket
import ssl
import sys
import time

KIND, HOST, PORT, COUNT = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
KEY = sys.argv[5] if len(sys.argv) > 5 else ""
NOW = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
FORM = b"Host: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\na"
SAYS = {
    "silent": b"",
    "tls": b"",
    "tls-h2": b"",
    "preface": b"PRI * HT",
    "head": b"GET / HTTP/1.1\r\nHo",
    "body": b"POST /sign-in HTTP/1.1\r\n" + FORM,
    "api-body": b"POST /api/v1/setup/session HTTP/1.1\r\n" + FORM.replace(b"x-www-form-urlencoded", b"json"),
    "upgrade": b"GET /relay HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: iroh-relay-v1\r\n\r\n",
    # The signature is not even a guess, but the access key id is right.
    "sts": f"PUT /box/x HTTP/1.1\r\nHost: x\r\nX-Amz-Date: {NOW}\r\nContent-Length: 8000\r\n"
    f"Authorization: AWS4-HMAC-SHA256 Credential={KEY}/{NOW[:8]}/freehold/sts/aws4_request, "
    f"SignedHeaders=host;x-amz-date, Signature={'0' * 64}\r\n\r\nx".encode(),
    "unread": b"GET /box/kept HTTP/1.1\r\nHost: x\r\n\r\n" * 20_000,
}
# Of the S3 endpoint and the relay, which speak no TLS.
PLAIN = ("silent", "upgrade", "sts", "unread")
KINDS = [kind for kind in SAYS if kind not in PLAIN[2:]] if KIND == "all" else [KIND]

selector = selectors.DefaultSelector()
started = time.monotonic()
still = 0
for number in range(COUNT):
    for kind in KINDS:
        connection = socket.create_connection((HOST, PORT), timeout=20)
        try:
            if kind not in PLAIN:
                context = ssl._create_unverified_context()
                if kind in ("tls-h2", "preface"):
                    context.set_alpn_protocols(["h2"])
                connection = context.wrap_socket(connection)
            if kind == "unread":
                connection.settimeout(0.05)
                try:
                    connection.sendall(SAYS[kind])
                except TimeoutError:
                    pass
            else:
                connection.sendall(SAYS[kind])
        except (OSError, ssl.SSLError):
            continue
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ, kind)
        still += 1
print("open", still, flush=True)

if KIND == "unread":
    time.sleep(40)
limit = time.monotonic() + 60
left = {}
while still and time.monotonic() < limit:
    for key, _ in selector.select(1):
        try:
            while key.fileobj.recv(65536):
                pass
            ended = True
        except (BlockingIOError, ssl.SSLWantReadError):
            ended = False
        except OSError:
            ended = True
        if ended:
            selector.unregister(key.fileobj)
            still -= 1
for key in selector.get_map().values():
    left[key.data] = left.get(key.data, 0) + 1
print(f"left {still} {left} after {time.monotonic() - started:.0f} s", flush=True)
