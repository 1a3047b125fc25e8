"""The internet: says at which address somebody is seen, or sends without end."""

import http.server
import socket
import sys


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        if self.path != "/stream":
            self.wfile.write(self.client_address[0].removeprefix("::ffff:").encode())
            return
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
