"""Writes objects until the endpoint dies; prints each key and hash once the write is acknowledged."""
import hashlib, itertools, os, random, sys, threading
import boto3
from botocore.config import Config

s3 = boto3.client("s3", config=Config(retries={"max_attempts": 0}, connect_timeout=5, read_timeout=10))
lock = threading.Lock()


def write(thread):
    draw = random.Random(f"{sys.argv[1]}/{thread}")
    for number in itertools.count():
        body = os.urandom(draw.choice([10, 1_000, 70_000, 400_000]))
        key = f"{sys.argv[1]}/{thread}/{number}"
        try:
            s3.put_object(Bucket="box", Key=key, Body=body)
        except Exception:
            return
        with lock:
            print(key, hashlib.sha256(body).hexdigest(), flush=True)


threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
for thread in threads:
    thread.start()
