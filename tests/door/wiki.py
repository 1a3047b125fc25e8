"""A website as people run them: says who asks, by the headers that it was sent; streams; answers WebSockets."""

import base64
import hashlib
import http.server
import socket
import sys
import threading
import time

PORT = int(sys.argv[1])
NAME = sys.argv[2]
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Wiki(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.headers.get("Upgrade", "").lower() == "websocket":
            return self.socket()
        if self.path == "/stream":
            return self.stream()
        if self.path.startswith("/verify"):
            return self.verify()
        self.say(200, f"{NAME}\n" + "".join(f"{name.lower()}: {value}\n" for name, value in self.headers.items()))

    def do_POST(self):
        length = int(self.headers.get("Content-Length", "0"))
        self.say(200, f"{NAME} took {len(self.rfile.read(length))}\n")

    def say(self, status, text, *headers):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def verify(self):
        """The sign-on: whoever has the word is Ada."""
        if "word=open" in self.headers.get("Cookie", ""):
            return self.say(200, "", ("Remote-User", "ada"))
        self.say(401, "sign on first\n")

    def stream(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while True:
            self.wfile.write(b"5\r\ntick\n\r\n")
            self.wfile.flush()
            time.sleep(0.2)

    def socket(self):
        """Says hello, and back whatever comes in one small frame."""
        key = self.headers["Sec-WebSocket-Key"] + GUID
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.wfile.write(
            f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )
        self.wfile.write(b"\x81\x05hello")
        while True:
            head = self.rfile.read(6)
            if len(head) < 6:
                return
            length, mask = head[1] & 127, head[2:]
            text = bytes(byte ^ mask[at % 4] for at, byte in enumerate(self.rfile.read(length)))
            self.wfile.write(bytes([0x81, len(text)]) + text)


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


threading.stack_size(256 * 1024)
Server(("::", PORT), Wiki).serve_forever()
