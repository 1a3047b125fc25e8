"""Five GiB there and back, at once and in parts, and the server's memory while it happens.

Not part of the ordinary tests. Against a server that runs (see examples/s3_server.rs):

    python3 five_gib.py ENDPOINT ACCESS_KEY_ID SECRET [process id of the server]
"""

import hashlib
import sys
import threading
import time

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

ENDPOINT, KEY_ID, SECRET = sys.argv[1:4]
SERVER = sys.argv[4] if len(sys.argv) > 4 else None
SIZE = 5 << 30
LIMIT_MIB = 200
BLOCK = bytes(range(256)) * 4096
S3 = boto3.client(
    "s3",
    endpoint_url=ENDPOINT,
    region_name="freehold",
    aws_access_key_id=KEY_ID,
    aws_secret_access_key=SECRET,
    config=Config(
        retries={"max_attempts": 1},
        read_timeout=600,
        request_checksum_calculation="when_required",
        s3={"addressing_style": "path", "payload_signing_enabled": False},
    ),
)


class Source:
    """SIZE bytes that differ from block to block, without holding them."""

    def __init__(self):
        self.at = 0

    def __len__(self):
        return SIZE

    def seek(self, to, whence=0):
        self.at = {0: 0, 1: self.at, 2: SIZE}[whence] + to
        return self.at

    def tell(self):
        return self.at

    def read(self, size=-1):
        size = SIZE - self.at if size < 0 else min(size, SIZE - self.at)
        out = bytearray()
        while len(out) < size:
            number, offset = divmod(self.at + len(out), len(BLOCK))
            block = number.to_bytes(8, "big") + BLOCK[8:]
            out += block[offset : offset + size - len(out)]
        self.at += size
        return bytes(out)


peak = 0
done = threading.Event()


def watch():
    global peak
    while SERVER and not done.wait(0.2):
        for line in open(f"/proc/{SERVER}/status"):
            if line.startswith("VmRSS"):
                peak = max(peak, int(line.split()[1]) // 1024)


def digest(read):
    total = hashlib.sha256()
    while piece := read(1 << 20):
        total.update(piece)
    return total.hexdigest()


threading.Thread(target=watch, daemon=True).start()
expected = digest(Source().read)
try:
    S3.create_bucket(Bucket="five-gib")
except S3.exceptions.BucketAlreadyOwnedByYou:
    pass
for name, write in {
    "at once": lambda: S3.put_object(Bucket="five-gib", Key="k", Body=Source(), ContentLength=SIZE),
    "in parts": lambda: S3.upload_fileobj(
        Source(), "five-gib", "k", Config=TransferConfig(multipart_chunksize=64 << 20, max_concurrency=4)
    ),
}.items():
    started = time.monotonic()
    write()
    wrote = time.monotonic()
    body = S3.get_object(Bucket="five-gib", Key="k")["Body"]
    assert digest(body.read) == expected, f"{name}: other bytes came back"
    read = time.monotonic()
    rate = lambda seconds: f"{SIZE / seconds / 1e6:.0f} MB/s"
    print(f"{name}: put {rate(wrote - started)}, get {rate(read - wrote)}", flush=True)
S3.delete_object(Bucket="five-gib", Key="k")
done.set()
if SERVER:
    print(f"the server's memory peaked at {peak} MiB")
    sys.exit(peak > LIMIT_MIB)
