"""A client that means no good, or just speaks something else. The server runs with limits of one and two
seconds."""

import os
import socket
import ssl
import threading
import time
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from check import ENDPOINT, KEY_ID, SECRET, check, refused, run

PARTS = urlsplit(ENDPOINT)
BUCKET = "hostile"
S3 = boto3.client(
    "s3",
    endpoint_url=ENDPOINT,
    region_name="freehold",
    aws_access_key_id=KEY_ID,
    aws_secret_access_key=SECRET,
    config=Config(retries={"max_attempts": 1}),
)


def connect():
    return socket.create_connection((PARTS.hostname, PARTS.port), timeout=20)


def rest(connection):
    """What comes until the server closes; a time-out is a failure."""
    got = b""
    try:
        while True:
            piece = connection.recv(65536)
            if not piece:
                return got
            got += piece
    except ConnectionResetError:
        return got


def exchange(data):
    with connect() as connection:
        try:
            connection.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return rest(connection)


def alive():
    assert "Buckets" in S3.list_buckets()


@check
def a_bucket_to_work_in():
    S3.create_bucket(Bucket=BUCKET)
    S3.put_object(Bucket=BUCKET, Key="there", Body=b"x")


@check
def garbage():
    for data in [b"\x00" * 4096, os.urandom(100_000), b"SSH-2.0-OpenSSH_9.6\r\n", b"\r\n" * 10_000, b"GET\r\n\r\n"]:
        got = exchange(data)
        assert got == b"" or got.startswith(b"HTTP/1.1 400"), got[:80]
    alive()


@check
def http2_by_prior_knowledge():
    got = exchange(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00" * 100)
    assert b"200" not in got[:20], got
    alive()


@check
def tls_on_a_plain_port():
    try:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.wrap_socket(connect())
    except (ssl.SSLError, OSError):
        pass
    alive()


@check
def oversized_headers():
    big = b"x-amz-meta-a: " + b"v" * 20_000 + b"\r\n"
    got = exchange(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + big + b"\r\n")
    assert b"RequestHeaderSectionTooLarge" in got, got[:300]
    huge = b"x-amz-meta-a: " + b"v" * 2_000_000 + b"\r\n"
    got = exchange(b"GET / HTTP/1.1\r\nHost: x\r\n" + huge + b"\r\n")
    assert got == b"" or b" 431 " in got[:40], got[:80]
    many = b"".join(b"x-h-%d: v\r\n" % n for n in range(1000))
    got = exchange(b"GET / HTTP/1.1\r\nHost: x\r\n" + many + b"\r\n")
    assert got == b"" or b" 431 " in got[:40] or b" 400 " in got[:40], got[:80]
    got = exchange(b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b" 200 " not in got[:40], got[:80]
    alive()


@check
def a_form_upload_is_not_gathered():
    head = b"POST /hostile HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    got = exchange(head + b"Connection: close\r\nContent-Length: 1000000000\r\n\r\n--b\r\n")
    assert b" 400 " in got[:40] and b"RequestTimeout" in got, got[:200]
    field = b'--b\r\nContent-Disposition: form-data; name="key"\r\n'
    for much in [b"x" * 3_000_000, b"\r\n" + b"x" * 3_000_000, field + b"\r\n" + b"x" * 3_000_000]:
        got = exchange(head + b"Connection: close\r\nContent-Length: 1000000000\r\n\r\n--b\r\n" + much)
        assert got == b"" or b" 400 " in got[:40], got[:200]
    alive()


@check
def a_document_that_is_too_large_is_named():
    for line in [b"POST /hostile?delete", b"POST /hostile/k?uploadId=a", b"PUT /hostile"]:
        head = line + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        got = exchange(head + b"Content-Length: 4194305\r\n\r\n<")
        assert b" 400 " in got[:20] and b"MaxMessageLengthExceeded" in got, got[:300]
        got = exchange(head + b"Transfer-Encoding: chunked\r\n\r\n1\r\n<\r\n")
        assert b" 411 " in got[:20] and b"MissingContentLength" in got, got[:300]


@check
def two_lengths_are_refused():
    """What request smuggling needs: a body that two parsers end at different places."""
    head = b"PUT /hostile/k HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
    for more in [b"Content-Length: 6\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"]:
        got = exchange(head + more)
        assert got.count(b"HTTP/1.1") <= 1 and b" 200 " not in got[:20], got[:200]
    alive()


@check
def silence_ends():
    with connect() as connection:
        started = time.monotonic()
        rest(connection)
        assert time.monotonic() - started < 10
    with connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost:")
        rest(connection)
    alive()


def presigned(key):
    url = S3.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": key}, ExpiresIn=60)
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}", parts.netloc


@check
def a_body_that_stalls_is_named_and_leaves_nothing():
    path, host = presigned("stalled")
    with connect() as connection:
        head = f"PUT {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000000\r\n\r\n"
        connection.sendall(head.encode() + b"x" * 10_000)
        got = rest(connection)
    assert b"RequestTimeout" in got, got[:400]
    refused("404", S3.head_object, Bucket=BUCKET, Key="stalled")


@check
def a_slow_body_that_goes_on_is_taken():
    path, host = presigned("slow")
    with connect() as connection:
        head = f"PUT {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 5\r\n\r\n"
        connection.sendall(head.encode())
        for letter in b"hello":
            time.sleep(0.4)  # the pace of the body, not a wait for a condition
            connection.sendall(bytes([letter]))
        got = rest(connection)
    assert b" 200 " in got[:20], got[:300]
    assert S3.get_object(Bucket=BUCKET, Key="slow")["Body"].read() == b"hello"


def streaming_headers(key, body, decoded):
    """A request with an aws-chunked body, signed by botocore, whose body is then ours."""
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    class Streaming(S3SigV4Auth):
        def payload(self, request):
            return "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

    request = AWSRequest(
        method="PUT",
        url=f"{ENDPOINT}/{BUCKET}/{key}",
        headers={
            "X-Amz-Trailer": "x-amz-checksum-crc32",
            "X-Amz-Decoded-Content-Length": str(decoded),
            "Content-Encoding": "aws-chunked",
            "Content-Length": str(len(body)),
        },
    )
    request.context["client_config"] = Config(s3={"payload_signing_enabled": False})
    Streaming(Credentials(KEY_ID, SECRET), "s3", "freehold").add_auth(request)
    lines = "".join(f"{k}: {v}\r\n" for k, v in request.headers.items())
    return f"PUT /{BUCKET}/{key} HTTP/1.1\r\nHost: {PARTS.netloc}\r\nConnection: close\r\n{lines}\r\n".encode() + body


TRAILER = b"x-amz-checksum-crc32:NhCmhg==\r\n\r\n"  # of b"hello"


@check
def chunked_bodies():
    cases = {
        "whole": (b"5\r\nhello\r\n0\r\n" + TRAILER, 5, b" 200 "),
        "two-chunks": (b"2\r\nhe\r\n3\r\nllo\r\n0\r\n" + TRAILER, 5, b" 200 "),
        "no-last-chunk": (b"5\r\nhello\r\n", 5, b"IncompleteBody"),
        "cut": (b"5\r\nhel", 5, b"IncompleteBody"),
        "fewer-than-declared": (b"5\r\nhello\r\n0\r\n" + TRAILER, 9, b"IncompleteBody"),
        "more-than-declared": (b"5\r\nhello\r\n0\r\n" + TRAILER, 2, b"IncompleteBody"),
        "no-trailer": (b"5\r\nhello\r\n0\r\n\r\n", 5, b"MalformedTrailerError"),
        "wrong-trailer": (b"5\r\nhellO\r\n0\r\n" + TRAILER, 5, b"BadDigest"),
        "other-trailer": (b"5\r\nhello\r\n0\r\nx-amz-meta-a:b\r\n\r\n", 5, b"MalformedTrailerError"),
        "nonsense": (b"zz\r\nhello\r\n0\r\n\r\n", 5, b"InvalidRequest"),
        "no-break": (b"5\r\nhelloXX0\r\n\r\n", 5, b"InvalidRequest"),
    }
    for name, (body, decoded, expected) in cases.items():
        got = exchange(streaming_headers(name, body, decoded))
        assert expected in got, (name, got[:500])
        if expected == b" 200 ":
            assert S3.get_object(Bucket=BUCKET, Key=name)["Body"].read() == b"hello"
        else:
            refused("404", S3.head_object, Bucket=BUCKET, Key=name)


def signed_chunks(key, chunks, decoded, spoil=lambda body: body):
    """A request whose chunks are signed one after the other, as SDKs do it over plain HTTP."""
    import hashlib
    import hmac

    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    class Streaming(S3SigV4Auth):
        def payload(self, request):
            return "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"

    length = sum(len(f"{len(c):x};chunk-signature={'0' * 64}\r\n") + len(c) + 2 for c in [*chunks, b""])
    headers = {"X-Amz-Decoded-Content-Length": str(decoded), "Content-Length": str(length)}
    request = AWSRequest(method="PUT", url=f"{ENDPOINT}/{BUCKET}/{key}", headers=headers)
    request.context["client_config"] = Config(s3={"payload_signing_enabled": True})
    Streaming(Credentials(KEY_ID, SECRET), "s3", "freehold").add_auth(request)
    stamp = request.headers["X-Amz-Date"]
    scope = f"{stamp[:8]}/freehold/s3/aws4_request"
    sign = lambda key, text: hmac.new(key, text.encode(), hashlib.sha256).digest()
    signing = b"AWS4" + SECRET.encode()
    for part in scope.split("/"):
        signing = sign(signing, part)
    before = request.headers["Authorization"].split("Signature=")[1]
    empty = hashlib.sha256(b"").hexdigest()
    body = b""
    for chunk in [*chunks, b""]:
        digest = hashlib.sha256(chunk).hexdigest()
        before = sign(signing, f"AWS4-HMAC-SHA256-PAYLOAD\n{stamp}\n{scope}\n{before}\n{empty}\n{digest}").hex()
        body += f"{len(chunk):x};chunk-signature={before}\r\n".encode() + chunk + b"\r\n"
    lines = "".join(f"{k}: {v}\r\n" for k, v in request.headers.items())
    head = f"PUT /{BUCKET}/{key} HTTP/1.1\r\nHost: {PARTS.netloc}\r\nConnection: close\r\n{lines}\r\n"
    return head.encode() + spoil(body)


@check
def chunks_signed_one_by_one():
    chunks = [os.urandom(65536), os.urandom(65536), b"tail"]
    size = sum(map(len, chunks))
    got = exchange(signed_chunks("signed", chunks, size))
    assert b" 200 " in got[:20], got[:400]
    assert S3.get_object(Bucket=BUCKET, Key="signed")["Body"].read() == b"".join(chunks)
    cases = {
        "altered": (lambda body: body.replace(b"tail", b"tale"), b"SignatureDoesNotMatch"),
        "swapped": (lambda body: body.replace(chunks[0], chunks[1], 1), b"SignatureDoesNotMatch"),
        "unsigned": (lambda body: body.replace(b";chunk-signature=", b";chunk-signatuer="), b"InvalidRequest"),
    }
    for name, (spoil, expected) in cases.items():
        got = exchange(signed_chunks(f"signed-{name}", chunks, size, spoil))
        assert expected in got, (name, got[:400])
        refused("404", S3.head_object, Bucket=BUCKET, Key=f"signed-{name}")
    got = exchange(signed_chunks("signed-large", [bytes(17 << 20)], 17 << 20))
    assert b"EntityTooLarge" in got or got == b"", got[:400]


@check
def one_chunk_of_64_mib_does_not_stay_in_memory():
    size = 64 << 20
    import zlib, base64

    body = bytes(size)
    sum32 = base64.b64encode(zlib.crc32(body).to_bytes(4, "big"))
    framed = b"%x\r\n" % size + body + b"\r\n0\r\nx-amz-checksum-crc32:" + sum32 + b"\r\n\r\n"
    got = exchange(streaming_headers("one-chunk", framed, size))
    assert b" 200 " in got[:20], got[:300]
    assert S3.head_object(Bucket=BUCKET, Key="one-chunk")["ContentLength"] == size


@check
def a_reader_that_stops_is_cut():
    url = S3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "one-chunk"}, ExpiresIn=60)
    parts = urlsplit(url)
    with connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        connection.sendall(f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        time.sleep(3)  # longer than the server's patience; this is the attack itself
        got = rest(connection)
    assert 0 < len(got) < 64 << 20, len(got)


@check
def a_crowd_waits_and_is_served():
    crowd = [connect() for _ in range(40)]  # more than places; each goes silent until it is cut
    for connection in crowd:
        try:
            connection.sendall(b"GET / HTTP/1.1\r\n")
        except OSError:
            pass
    answers = []

    def ask():
        answers.append(S3.list_buckets())

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert len(answers) == 4
    for connection in crowd:
        connection.close()


@check
def nothing_was_lost():
    assert S3.get_object(Bucket=BUCKET, Key="there")["Body"].read() == b"x"


run()
