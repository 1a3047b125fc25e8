"""A member at work: fills their buckets, writes on while they are moved, and goes over when they are told."""

import hashlib
import json
import os
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

MIB = 1 << 20
OBJECTS, LOCKED = int(os.environ.get("OBJECTS", "2000")), int(os.environ.get("LOCKED", "150"))


def client(endpoint=None, key=None, secret=None):
    named = {"endpoint_url": endpoint, "aws_access_key_id": key, "aws_secret_access_key": secret} if endpoint else {}
    config = Config(retries={"max_attempts": 4, "mode": "standard"}, max_pool_connections=20)
    return boto3.client("s3", config=config, **named)


def told(**what):
    print(json.dumps(what), flush=True)


def blob(seed, size):
    return random.Random(seed).randbytes(size)


def fill(s3):
    for name in ["papers", "films"]:
        s3.create_bucket(Bucket=name)
    s3.create_bucket(Bucket="safe", ObjectLockEnabledForBucket=True)
    s3.put_bucket_versioning(Bucket="papers", VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_tagging(Bucket="papers", Tagging={"TagSet": [{"Key": "shelf", "Value": "upper left"}]})
    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["https://quill.example"]}
    s3.put_bucket_cors(Bucket="papers", CORSConfiguration={"CORSRules": [rule]})
    days = {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "never/"}, "Expiration": {"Days": 3000}}
    s3.put_bucket_lifecycle_configuration(Bucket="papers", LifecycleConfiguration={"Rules": [days]})
    retention = {"Mode": "GOVERNANCE", "Days": 1}
    until = datetime(2041, 5, 4, 3, 2, 1, tzinfo=timezone.utc)

    def paper(i):
        key = f"2026/{i % 50:02}/paper {i}+ü.txt"
        for version in range(1 + i % 3):
            s3.put_object(
                Bucket="papers", Key=key, Body=blob((i, version).__hash__(), i % 3000),
                ContentType="text/plain; charset=utf-8", CacheControl="no-cache", Metadata={"number": str(i)},
                Tagging=f"kind=paper&of={i % 7}",
            )
        if i % 20 == 0:
            s3.delete_object(Bucket="papers", Key=key)
        if i % 40 == 0:
            s3.put_object(Bucket="papers", Key=key, Body=b"again")

    def safe(i):
        s3.put_object(
            Bucket="safe", Key=f"deed-{i}", Body=blob(i, 300), ObjectLockMode="GOVERNANCE",
            ObjectLockRetainUntilDate=until, ObjectLockLegalHoldStatus="ON" if i % 2 else "OFF",
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(paper, range(OBJECTS)))
        list(pool.map(safe, range(LOCKED)))
    s3.put_object_lock_configuration(
        Bucket="safe",
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": retention}},
    )
    s3.put_object(Bucket="films", Key="a//b/../whole", Body=blob(1, 24 * MIB), ContentEncoding="none")
    s3.put_object(Bucket="films", Key="empty", Body=b"")
    upload = s3.create_multipart_upload(Bucket="films", Key="in parts", Metadata={"cut": "three"})["UploadId"]
    parts = []
    for number, size in enumerate([6 * MIB, 9 * MIB, 5], 1):
        made = s3.upload_part(
            Bucket="films", Key="in parts", UploadId=upload, PartNumber=number, Body=blob(number, size)
        )
        parts.append({"PartNumber": number, "ETag": made["ETag"]})
    s3.complete_multipart_upload(Bucket="films", Key="in parts", UploadId=upload, MultipartUpload={"Parts": parts})


def work(old, folder, new):
    """Writes, overwrites and deletes as fast as it goes; each answer is told. Refused, it waits for the word."""
    dice, number, refused, s3, prefix, last = random.Random(7), 0, None, old, "live", 0.0
    while True:
        number += 1
        key = f"{prefix}/{dice.randrange(40)}"
        body = blob(number, dice.randrange(20_000))
        bucket = dice.choice(["papers", "papers", "films"])
        try:
            if dice.random() < 0.15:
                s3.delete_object(Bucket=bucket, Key=key)
                told(at=time.time(), bucket=bucket, key=key, deleted=True, new=s3 is new)
            else:
                s3.put_object(Bucket=bucket, Key=key, Body=body, Metadata={"turn": str(number)})
                told(at=time.time(), bucket=bucket, key=key, md5=hashlib.md5(body).hexdigest(), new=s3 is new)
            if s3 is new and number > refused + 50:
                return
        except ClientError as error:
            if s3 is new or error.response["Error"]["Code"] != "AccessDenied":
                raise
            refused = number
            told(refused=True, at=time.time())
            while open(os.path.join(folder, "stage")).read().strip() not in ("moved", "ended"):
                time.sleep(0.01)
            s3, prefix = new, "after"


def main():
    if sys.argv[1] == "fill":
        fill(client())
    else:
        _, _, folder, endpoint, key, secret = sys.argv
        work(client(), folder, client(endpoint, key, secret))


main()
