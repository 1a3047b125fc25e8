"""Reads every key of a list and compares its hash."""
import hashlib, sys
import boto3

s3 = boto3.client("s3")
whole = 0
for line in open(sys.argv[1]).read().split("\n"):
    key, digest = line.split()
    body = s3.get_object(Bucket="box", Key=key)["Body"].read()
    assert hashlib.sha256(body).hexdigest() == digest, key
    whole += 1
print(whole, "whole")
