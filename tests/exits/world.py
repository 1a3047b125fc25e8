"""The internet: says at which address somebody is seen, or sends without end."""

import http.server
import socket
import sys

SO_MAX_PACING_RATE = 47

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        if self.path != "/stream":
            self.wfile.write(self.client_address[0].removeprefix("::ffff:").encode())
            return
        # Paced here: what a slow reader has waiting in its own buffers would go on coming after a cut.
        self.connection.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, 2_000_000)
        try:
            while True:
                self.wfile.write(bytes(65536))
        except OSError:
            pass

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


Server(("::", int(sys.argv[1])), Answer).serve_forever()
