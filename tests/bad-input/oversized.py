"""Sends a request with a header of a megabyte and prints the first line of the answer."""
import socket, sys

s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=20)
try:
    s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: ")
    for _ in range(64):
        s.sendall(b"a" * 16384)
    s.sendall(b"\r\n\r\n")
except OSError:
    pass  # It stopped reading: the answer is there already.
print(s.recv(1000).split(b"\r\n")[0].decode())
