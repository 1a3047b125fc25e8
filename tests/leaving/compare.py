"""Compares the buckets of two realms: every version with its bytes and all that is said of it, and how they are set."""

import hashlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

BUCKETS = ["papers", "films", "safe"]
KEPT = [
    "ContentType", "CacheControl", "ContentEncoding", "ContentDisposition", "Metadata", "ETag", "ContentLength",
    "ObjectLockMode", "ObjectLockRetainUntilDate", "ObjectLockLegalHoldStatus",
]


def client(endpoint, key, secret):
    config = Config(max_pool_connections=20)
    return boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id=key, aws_secret_access_key=secret, config=config
    )


def seen(s3, bucket):
    """By key, oldest first: what a reader gets."""
    keeps = "Status" in s3.get_bucket_versioning(Bucket=bucket)
    found = {}
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for line in page.get("Versions", []) + page.get("DeleteMarkers", []):
            if not line["Key"].startswith("after/"):
                found.setdefault(line["Key"], []).append(line)

    def read(item):
        key, lines = item
        out = []
        for line in sorted(lines, key=lambda line: line["LastModified"]):
            if "ETag" not in line:
                out.append("deleted")
                continue
            of = {"VersionId": line["VersionId"]} if keeps else {}
            got = s3.get_object(Bucket=bucket, Key=key, **of)
            tags = s3.get_object_tagging(Bucket=bucket, Key=key, **of)["TagSet"]
            about = {name: got.get(name) for name in KEPT}
            out.append((hashlib.sha256(got["Body"].read()).hexdigest(), about, tags))
        return key, out

    with ThreadPoolExecutor(8) as pool:
        return dict(pool.map(read, found.items()))


def settings(s3, bucket):
    out = {}
    for name in ["cors", "lifecycle_configuration", "versioning", "tagging"]:
        try:
            answer = getattr(s3, f"get_bucket_{name}")(Bucket=bucket)
        except ClientError as error:
            answer = error.response["Error"]["Code"]
        else:
            answer.pop("ResponseMetadata")
        out[name] = answer
    tags = out.pop("tagging")
    tags = [] if tags == "NoSuchTagSet" else tags["TagSet"]
    out["tags"] = [tag for tag in tags if not tag["Key"].startswith("freehold-moved")]
    out["origin"] = [tag["Value"] for tag in tags if tag["Key"] == "freehold-moved-from"]
    return out


def main():
    old, new = client(*sys.argv[1:4]), client(*sys.argv[4:7])
    versions = 0
    for bucket in BUCKETS:
        there, here = seen(old, bucket), seen(new, bucket)
        for key in there.keys() | here.keys():
            assert there.get(key) == here.get(key), (bucket, key, there.get(key), here.get(key))
        versions += sum(len(all) for all in there.values())
        before, after = settings(old, bucket), settings(new, bucket)
        assert after.pop("origin") == [sys.argv[1].rstrip("/") + "/" + bucket], after
        before.pop("origin")
        assert before == after, (bucket, before, after)
    rule = new.get_object_lock_configuration(Bucket="safe")["ObjectLockConfiguration"]["Rule"]
    assert rule == {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}, rule
    # What was answered as written is there: in a bucket with versions each, in the other one the last.
    etags = {}
    for page in new.get_paginator("list_object_versions").paginate(Bucket="papers"):
        for line in page.get("Versions", []):
            etags.setdefault(line["Key"], set()).add(line["ETag"].strip('"'))
    last = {}
    for line in map(json.loads, open(sys.argv[7])):
        if "bucket" not in line:
            continue
        last[line["bucket"], line["key"]] = line.get("md5")
        if line["bucket"] == "papers" and "md5" in line:
            assert line["md5"] in etags.get(line["key"], ()), line
    for (bucket, key), md5 in last.items():
        try:
            found = new.head_object(Bucket=bucket, Key=key)["ETag"].strip('"')
        except ClientError:
            found = None
        assert found == md5, (bucket, key, found, md5)
    print(f"{versions} versions are the same, {len(last)} keys as they were left")


main()
