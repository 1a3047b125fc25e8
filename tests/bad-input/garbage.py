"""Throws garbage at every socket that listens in this network namespace; prints how many there are."""
import random, socket, subprocess, sys

draw = random.Random(1)
garbage = [
    b"",
    b"\x00" * 10_000,
    draw.randbytes(1),
    draw.randbytes(70_000),
    b"\x16\x03\x01\xff\xff" + draw.randbytes(5_000),
    b"GET " + b"/" * 100_000,
    b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + draw.randbytes(3_000),
]
packets = [draw.randbytes(size) for size in (0, 1, 20, 1200, 1200, 1400, 8_000)]
found = set()
for kind, flag in ((socket.SOCK_STREAM, "-t"), (socket.SOCK_DGRAM, "-u")):
    listed = subprocess.run(["ss", "-Hln", flag], capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        host, port = line.split()[3].rsplit(":", 1)
        host = host.strip("[]").split("%")[0]
        host = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        found.add((kind, socket.AF_INET6 if ":" in host else socket.AF_INET, (host, int(port))))
found.add((socket.SOCK_STREAM, socket.AF_UNIX, sys.argv[1]))

for kind, family, address in sorted(found, key=str):
    for piece in garbage if kind == socket.SOCK_STREAM else packets * 20:
        s = socket.socket(family, kind)
        s.settimeout(0.3)
        try:
            s.connect(address)
            s.sendall(piece)
            if kind == socket.SOCK_STREAM:
                s.recv(100)
        except OSError:
            pass
        s.close()
print(len(found))
