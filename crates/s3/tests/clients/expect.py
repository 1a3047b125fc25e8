"""`Expect: 100-continue`, byte for byte: the AWS tools send it with every upload."""

import json
import socket
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from check import ENDPOINT, KEY_ID, SECRET, check, run

PARTS = urlsplit(ENDPOINT)
BUCKET = "expect"
S3 = boto3.client(
    "s3",
    endpoint_url=ENDPOINT,
    region_name="freehold",
    aws_access_key_id=KEY_ID,
    aws_secret_access_key=SECRET,
    config=Config(retries={"max_attempts": 1}),
)
S3.create_bucket(Bucket=BUCKET)


def head(operation, length, **more):
    parameters = {"Bucket": BUCKET, "Key": "k", **more}
    url = urlsplit(S3.generate_presigned_url(operation, Params=parameters, ExpiresIn=60))
    lines = f"PUT {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: {length}\r\n"
    return lines.encode() + b"Expect: 100-continue\r\n\r\n"


class Line:
    """A connection that is read answer by answer."""

    def __init__(self):
        self.socket = socket.create_connection((PARTS.hostname, PARTS.port), timeout=30)
        self.reader = self.socket.makefile("rb")

    def answer(self):
        status = self.reader.readline().decode().strip()
        headers = {}
        while (line := self.reader.readline().decode().strip()) != "":
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        self.reader.read(int(headers.get("content-length", 0)))
        return status, headers

    def is_closed(self):
        return self.reader.read(1) == b""


def the_answer_to(request, body):
    line = Line()
    line.socket.sendall(request)
    status, headers = line.answer()
    assert status == "HTTP/1.1 100 Continue" and not headers, (status, headers)
    line.socket.sendall(body)
    return line, *line.answer()


@check
def a_body_is_asked_for_before_it_is_sent():
    line, status, headers = the_answer_to(head("put_object", 5), b"hello")
    assert status == "HTTP/1.1 200 OK" and "etag" in headers, (status, headers)
    assert "connection" not in headers, "the connection is good for the next one"
    upload = S3.create_multipart_upload(Bucket=BUCKET, Key="k")["UploadId"]
    line.socket.sendall(head("upload_part", 5, UploadId=upload, PartNumber=1))
    assert line.answer()[0] == "HTTP/1.1 100 Continue"
    line.socket.sendall(b"hello")
    status, headers = line.answer()
    assert status == "HTTP/1.1 200 OK" and "etag" in headers, (status, headers)


@check
def an_answer_that_comes_without_asking_is_the_last_on_its_connection():
    """The AWS CLI takes the next answer on that connection for a continuation of this one: it hung for
    30 s after every empty file, and then missed the ETag of a part."""
    cases = {
        "200": head("put_object", 0),
        "404": head("put_object", 5, Bucket="no-such-bucket"),
        "403": head("put_object", 5).replace(b"X-Amz-Expires=60", b"X-Amz-Expires=61"),
    }
    for expected, request in cases.items():
        line = Line()
        line.socket.sendall(request)
        status, headers = line.answer()
        assert status.split()[1] == expected, (expected, status)
        assert headers.get("connection") == "close" and line.is_closed(), (expected, headers)


@check
def a_write_that_a_policy_overtakes_does_not_count():
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    line = Line()
    line.socket.sendall(head("put_object", 5, Key="late"))
    assert line.answer()[0] == "HTTP/1.1 100 Continue", "it was allowed"
    S3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    line.socket.sendall(b"hello")
    status, _ = line.answer()
    assert status == "HTTP/1.1 503 Service Unavailable", status
    S3.delete_bucket_policy(Bucket=BUCKET)
    assert "late" not in [o["Key"] for o in S3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
    # By the next policy it may be written again.
    _, status, _ = the_answer_to(head("put_object", 5, Key="late"), b"hello")
    assert status == "HTTP/1.1 200 OK", status


run()
