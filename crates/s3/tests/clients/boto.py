"""boto3 against the S3 front."""

import base64
import hashlib
import io
import os
import random
import threading
import urllib.error
import urllib.request
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

from check import ENDPOINT, KEY_ID, SECRET, check, refused, run


def client(key_id=KEY_ID, secret=SECRET, **config):
    config.setdefault("retries", {"max_attempts": 1})
    config.setdefault("s3", {"addressing_style": "path"})
    return boto3.client(
        "s3",
        endpoint_url=ENDPOINT,
        region_name="freehold",
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        config=Config(**config),
    )


S3 = client()
BUCKET = "boto-checks"
RANDOM = random.Random(20261121)


def noise(size):
    return RANDOM.randbytes(size)


def put(key, body, **more):
    return S3.put_object(Bucket=BUCKET, Key=key, Body=body, **more)


def get(key, **more):
    return S3.get_object(Bucket=BUCKET, Key=key, **more)


@check
def buckets():
    S3.create_bucket(Bucket=BUCKET)  # and without a LocationConstraint
    S3.head_bucket(Bucket=BUCKET)
    assert BUCKET in [b["Name"] for b in S3.list_buckets()["Buckets"]]
    assert S3.get_bucket_location(Bucket=BUCKET)["LocationConstraint"] == "freehold"
    assert "Status" not in S3.get_bucket_versioning(Bucket=BUCKET)
    S3.create_bucket(Bucket=BUCKET)  # Again, which changes nothing.
    refused("404", S3.head_bucket, Bucket="no-such-bucket")
    refused("NoSuchBucket", S3.list_objects_v2, Bucket="no-such-bucket")
    refused("NoSuchBucket", S3.put_object, Bucket="no-such-bucket", Key="k", Body=b"")
    S3.create_bucket(Bucket="short-lived")
    S3.put_object(Bucket="short-lived", Key="k", Body=b"x")
    refused("BucketNotEmpty", S3.delete_bucket, Bucket="short-lived")
    S3.delete_object(Bucket="short-lived", Key="k")
    S3.delete_bucket(Bucket="short-lived")
    refused("404", S3.head_bucket, Bucket="short-lived")


@check
def bucket_names_are_checked():
    bare = client()
    bare.meta.events.unregister("before-parameter-build.s3", None)
    for name in ["ab", "UPPER", "under_score", "192.168.1.1", "-dash"]:
        try:
            bare.create_bucket(Bucket=name)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "InvalidBucketName", (name, error)
        except Exception:
            continue  # boto3 itself refuses some
        else:
            raise AssertionError(f"{name} accepted")


@check
def round_trips():
    for size in [0, 1, 65535, 65536, 65537, 1 << 20, (1 << 20) + 1, 5_000_001]:
        body = noise(size)
        done = put(f"size/{size}", body)
        assert done["ETag"] == f'"{hashlib.md5(body).hexdigest()}"', done["ETag"]
        got = get(f"size/{size}")
        assert got["Body"].read() == body, size
        assert got["ContentLength"] == size
        assert got["ETag"] == done["ETag"]
        head = S3.head_object(Bucket=BUCKET, Key=f"size/{size}")
        assert head["ContentLength"] == size and head["ETag"] == done["ETag"]
        assert abs((head["LastModified"] - datetime.now(timezone.utc)).total_seconds()) < 120


@check
def overwriting_and_deleting():
    put("over", b"one")
    put("over", b"two")
    assert get("over")["Body"].read() == b"two"
    S3.delete_object(Bucket=BUCKET, Key="over")
    refused("NoSuchKey", get, "over")
    refused("404", S3.head_object, Bucket=BUCKET, Key="over")
    S3.delete_object(Bucket=BUCKET, Key="over")  # no error when it is not there
    for n in range(25):
        put(f"many/{n}", b"x")
    answer = S3.delete_objects(
        Bucket=BUCKET,
        Delete={"Objects": [{"Key": f"many/{n}"} for n in range(25)] + [{"Key": "never"}, {"Key": "x" * 1025}]},
    )
    assert len(answer["Deleted"]) == 26, answer
    assert [e["Code"] for e in answer["Errors"]] == ["KeyTooLongError"], answer
    assert "Contents" not in S3.list_objects_v2(Bucket=BUCKET, Prefix="many/")
    quiet = S3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "never"}], "Quiet": True})
    assert "Deleted" not in quiet


ODD_KEYS = [
    "a//b",
    "../x",
    "./y",
    "a/../b",
    "/leading",
    "trailing/",
    "with space",
    " edges ",
    "plus+plus",
    "per%cent",
    "%2F",
    "%00literal",
    "que?ry&a=b#frag",
    "semi;colon:comma,",
    "quote'\"<>&amp;",
    "back\\slash",
    "ünïcödé/日本語/🎉",
    "e\u0301 is not \u00e9",
    "new\nline\ttab",
    "*!()~",
    "x" * 1024,
    "ü" * 512,
]


@check
def odd_keys():
    for key in ODD_KEYS:
        put("odd/" + key if len(key.encode()) <= 1020 else key, key.encode())
    names = {("odd/" + k if len(k.encode()) <= 1020 else k): k for k in ODD_KEYS}
    for name, key in names.items():
        assert get(name)["Body"].read() == key.encode(), key
    listed = set()
    for page in S3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        listed |= {o["Key"] for o in page.get("Contents", [])}
    assert set(names) <= listed, set(names) - listed
    listed = set()
    for page in S3.get_paginator("list_objects").paginate(Bucket=BUCKET, PaginationConfig={"PageSize": 7}):
        listed |= {o["Key"] for o in page.get("Contents", [])}
    assert set(names) <= listed, set(names) - listed
    answer = S3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": n} for n in names if "\n" not in n]})
    assert "Errors" not in answer, answer
    S3.delete_object(Bucket=BUCKET, Key="odd/new\nline\ttab")
    refused("KeyTooLongError", put, "x" * 1025, b"")


@check
def ranges():
    body = noise(300_000)
    put("range", body)
    cases = {
        "bytes=0-0": (0, 1),
        "bytes=0-65535": (0, 65536),
        "bytes=65535-65536": (65535, 65537),
        "bytes=65536-131071": (65536, 131072),
        "bytes=299999-": (299999, 300000),
        "bytes=100-999999999": (100, 300000),
        "bytes=-1": (299999, 300000),
        "bytes=-70000": (230000, 300000),
        "bytes=-999999999": (0, 300000),
    }
    for header, (start, end) in cases.items():
        got = get("range", Range=header)
        assert got["Body"].read() == body[start:end], header
        assert got["ContentRange"] == f"bytes {start}-{end - 1}/300000", (header, got["ContentRange"])
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    head = S3.head_object(Bucket=BUCKET, Key="range", Range="bytes=10-19")
    assert head["ContentLength"] == 10 and head["ResponseMetadata"]["HTTPStatusCode"] == 206
    refused("InvalidRange", get, "range", Range="bytes=300000-")
    refused("InvalidRange", get, "range", Range="bytes=-0")
    put("empty", b"")
    refused("InvalidRange", get, "empty", Range="bytes=0-0")
    for _ in range(40):
        start = RANDOM.randrange(300_000)
        end = RANDOM.randrange(start, 300_000)
        assert get("range", Range=f"bytes={start}-{end}")["Body"].read() == body[start : end + 1], (start, end)


@check
def metadata_and_headers():
    put(
        "meta",
        b"x",
        ContentType="text/plain; charset=utf-8",
        CacheControl="max-age=60",
        ContentDisposition='attachment; filename="a.txt"',
        ContentEncoding="gzip",
        ContentLanguage="de",
        Expires=datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
        Metadata={"Colour": "blue", "empty": "", "mtime": "1700000000.5"},
    )
    for got in [get("meta"), S3.head_object(Bucket=BUCKET, Key="meta")]:
        assert got["ContentType"] == "text/plain; charset=utf-8"
        assert got["CacheControl"] == "max-age=60"
        assert got["ContentDisposition"] == 'attachment; filename="a.txt"'
        assert got["ContentEncoding"] == "gzip"
        assert got["ContentLanguage"] == "de"
        assert got["ExpiresString"] == "Wed, 02 Jan 2030 03:04:05 GMT", got["ExpiresString"]
        assert got["Metadata"] == {"colour": "blue", "empty": "", "mtime": "1700000000.5"}, got["Metadata"]
        assert got["AcceptRanges"] == "bytes"
        assert got["ServerSideEncryption"] == "AES256"
    got = get(
        "meta",
        ResponseContentType="application/x-other",
        ResponseCacheControl="no-store",
        ResponseContentDisposition="inline",
        ResponseContentLanguage="en",
        ResponseContentEncoding="identity",
    )
    assert got["ContentType"] == "application/x-other" and got["CacheControl"] == "no-store"
    assert got["ContentDisposition"] == "inline" and got["ContentLanguage"] == "en"
    put("plain", b"x")
    assert get("plain")["ContentType"] == "binary/octet-stream"
    refused("MetadataTooLarge", put, "meta", b"x", Metadata={"big": "v" * 2048})
    assert get("meta")["ContentType"] == "text/plain; charset=utf-8"


@check
def conditional_reads():
    tag = put("cond", b"x")["ETag"]
    now = datetime.now(timezone.utc)
    before, after = now - timedelta(hours=1), now + timedelta(hours=1)
    get("cond", IfMatch=tag)
    refused("PreconditionFailed", get, "cond", IfMatch='"0"')
    refused("304", get, "cond", IfNoneMatch=tag)
    get("cond", IfNoneMatch='"0"')
    get("cond", IfModifiedSince=before)
    refused("304", get, "cond", IfModifiedSince=after)
    get("cond", IfUnmodifiedSince=after)
    refused("PreconditionFailed", get, "cond", IfUnmodifiedSince=before)
    refused("304", S3.head_object, Bucket=BUCKET, Key="cond", IfNoneMatch=tag)
    refused("412", S3.head_object, Bucket=BUCKET, Key="cond", IfMatch='"0"')


@check
def conditional_writes():
    refused("NoSuchKey", put, "cw", b"x", IfMatch='"0"')
    first = put("cw", b"1", IfNoneMatch="*")["ETag"]
    refused("PreconditionFailed", put, "cw", b"2", IfNoneMatch="*")
    second = put("cw", b"2", IfMatch=first)["ETag"]
    refused("PreconditionFailed", put, "cw", b"3", IfMatch=first)
    assert get("cw")["Body"].read() == b"2"
    refused("PreconditionFailed", S3.delete_object, Bucket=BUCKET, Key="cw", IfMatch=first)
    # Nor is a condition accepted and dropped where it is one of many.
    many = S3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "cw", "ETag": first}]})
    assert many["Errors"][0]["Code"] == "PreconditionFailed" and "Deleted" not in many
    S3.delete_object(Bucket=BUCKET, Key="cw", IfMatch=second)


@check
def sixteen_race_and_one_wins():
    for round_number in range(5):
        key = f"race/{round_number}"
        gate = threading.Barrier(16)

        def attempt(n):
            mine = client()
            gate.wait()
            try:
                mine.put_object(Bucket=BUCKET, Key=key, Body=bytes([n]) * 200_000, IfNoneMatch="*")
                return n
            except ClientError as error:
                assert error.response["Error"]["Code"] in ("PreconditionFailed", "ConditionalRequestConflict"), error
                return None

        with ThreadPoolExecutor(16) as pool:
            winners = [n for n in pool.map(attempt, range(16)) if n is not None]
        assert len(winners) == 1, winners
        assert get(key)["Body"].read() == bytes([winners[0]]) * 200_000


@check
def digests_of_bodies():
    body = noise(100_000)
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    put("md5", body, ContentMD5=md5)
    wrong = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    refused("BadDigest", put, "md5-bad", body, ContentMD5=wrong)
    refused("InvalidDigest", put, "md5-bad", body, ContentMD5="AAAA")
    refused("NoSuchKey", get, "md5-bad")
    import awscrt  # noqa: F401  botocore computes two of the algorithms with it

    algorithms = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]
    for algorithm in algorithms:
        done = put(f"sum/{algorithm}", body, ChecksumAlgorithm=algorithm)
        value = done[f"Checksum{algorithm}"]
        assert done["ChecksumType"] == "FULL_OBJECT", done
        got = get(f"sum/{algorithm}", ChecksumMode="ENABLED")
        assert got["Body"].read() == body
        assert got[f"Checksum{algorithm}"] == value
        head = S3.head_object(Bucket=BUCKET, Key=f"sum/{algorithm}", ChecksumMode="ENABLED")
        assert head[f"Checksum{algorithm}"] == value
        assert f"Checksum{algorithm}" not in S3.head_object(Bucket=BUCKET, Key=f"sum/{algorithm}")
        attributes = S3.get_object_attributes(
            Bucket=BUCKET, Key=f"sum/{algorithm}", ObjectAttributes=["Checksum", "ObjectSize", "ETag", "StorageClass"]
        )
        assert attributes["Checksum"][f"Checksum{algorithm}"] == value
        assert attributes["ObjectSize"] == len(body)
    sha = base64.b64encode(hashlib.sha256(body).digest()).decode()
    put("sum/given", body, ChecksumSHA256=sha)
    refused("BadDigest", put, "sum/bad", body[:-1] + b"x", ChecksumSHA256=sha)
    refused("NoSuchKey", get, "sum/bad")


@check
def payload_kinds():
    """Signed, unsigned, and streamed with a trailer, whichever the client is set to."""
    body = noise(3_000_000)
    kinds = [
        dict(request_checksum_calculation="when_required"),
        dict(request_checksum_calculation="when_supported"),
        dict(s3={"addressing_style": "path", "payload_signing_enabled": True}),
        dict(s3={"addressing_style": "path", "payload_signing_enabled": False}),
    ]
    for number, config in enumerate(kinds):
        mine = client(**config)
        mine.put_object(Bucket=BUCKET, Key=f"kind/{number}", Body=body)
        mine.put_object(Bucket=BUCKET, Key=f"kind-stream/{number}", Body=io.BytesIO(body))
        for key in [f"kind/{number}", f"kind-stream/{number}"]:
            assert get(key)["Body"].read() == body, (key, config)


@check
def multipart_in_parallel():
    body = noise(20 << 20)
    config = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20, max_concurrency=4)
    S3.upload_fileobj(
        io.BytesIO(body), BUCKET, "parts", Config=config, ExtraArgs={"Metadata": {"a": "b"}, "ContentType": "x/y"}
    )
    head = S3.head_object(Bucket=BUCKET, Key="parts")
    md5s = b"".join(hashlib.md5(body[n : n + (5 << 20)]).digest() for n in range(0, len(body), 5 << 20))
    assert head["ETag"] == f'"{hashlib.md5(md5s).hexdigest()}-4"', head["ETag"]
    assert head["Metadata"] == {"a": "b"} and head["ContentType"] == "x/y"
    out = io.BytesIO()
    S3.download_fileobj(BUCKET, "parts", out, Config=config)
    assert out.getvalue() == body
    start = (5 << 20) - 10
    assert get("parts", Range=f"bytes={start}-{start + 19}")["Body"].read() == body[start : start + 20]
    S3.copy({"Bucket": BUCKET, "Key": "parts"}, BUCKET, "parts-copied", Config=config)
    assert get("parts-copied")["Body"].read() == body


@check
def multipart_by_hand():
    upload = S3.create_multipart_upload(Bucket=BUCKET, Key="hand", ChecksumAlgorithm="SHA256")["UploadId"]
    listed = S3.list_multipart_uploads(Bucket=BUCKET, Prefix="hand")["Uploads"]
    assert [u["UploadId"] for u in listed] == [upload]
    bodies = {3: noise(100), 1: noise(5 << 20), 2: noise(5 << 20)}
    done = {}
    for number, body in bodies.items():
        answer = S3.upload_part(
            Bucket=BUCKET, Key="hand", UploadId=upload, PartNumber=number, Body=body, ChecksumAlgorithm="SHA256"
        )
        done[number] = {"ETag": answer["ETag"], "PartNumber": number, "ChecksumSHA256": answer["ChecksumSHA256"]}
    again = noise(5 << 20)  # a part may be sent again
    answer = S3.upload_part(
        Bucket=BUCKET, Key="hand", UploadId=upload, PartNumber=2, Body=again, ChecksumAlgorithm="SHA256"
    )
    done[2] = {"ETag": answer["ETag"], "PartNumber": 2, "ChecksumSHA256": answer["ChecksumSHA256"]}
    listed = S3.list_parts(Bucket=BUCKET, Key="hand", UploadId=upload)
    assert [(p["PartNumber"], p["Size"]) for p in listed["Parts"]] == [(1, 5 << 20), (2, 5 << 20), (3, 100)]
    page = S3.list_parts(Bucket=BUCKET, Key="hand", UploadId=upload, MaxParts=2)
    assert page["IsTruncated"] and page["NextPartNumberMarker"] == 2, page
    page = S3.list_parts(Bucket=BUCKET, Key="hand", UploadId=upload, PartNumberMarker=2)
    assert [p["PartNumber"] for p in page["Parts"]] == [3]

    def complete(parts):
        return S3.complete_multipart_upload(
            Bucket=BUCKET, Key="hand", UploadId=upload, MultipartUpload={"Parts": parts}
        )

    refused("NoSuchKey", get, "hand")
    refused("InvalidPartOrder", complete, [done[2], done[1]])
    refused("InvalidPart", complete, [done[1], {"ETag": '"0"', "PartNumber": 2}])
    refused("InvalidPart", complete, [{"ETag": done[1]["ETag"], "PartNumber": 9}])
    refused("EntityTooSmall", complete, small_part_first(upload, done))
    answer = complete([done[1], done[2], done[3]])
    assert answer["ChecksumSHA256"].endswith("-3"), answer
    assert get("hand")["Body"].read() == bodies[1] + again + bodies[3]
    complete([done[1]])  # Already completed: told the same again.
    refused("NoSuchUpload", S3.list_parts, Bucket=BUCKET, Key="hand", UploadId=upload)


def small_part_first(upload, done):
    answer = S3.upload_part(Bucket=BUCKET, Key="hand", UploadId=upload, PartNumber=4, Body=b"tail")
    return [done[3], {"ETag": answer["ETag"], "PartNumber": 4}]


@check
def checksums_of_whole_uploads():
    bodies = [noise(5 << 20), noise(777)]
    for algorithm in ["CRC32", "CRC32C", "CRC64NVME"]:
        whole = put("whole", b"".join(bodies), ChecksumAlgorithm=algorithm)[f"Checksum{algorithm}"]
        upload = S3.create_multipart_upload(
            Bucket=BUCKET, Key="whole", ChecksumAlgorithm=algorithm, ChecksumType="FULL_OBJECT"
        )["UploadId"]
        parts = []
        for number, body in enumerate(bodies, 1):
            answer = S3.upload_part(
                Bucket=BUCKET, Key="whole", UploadId=upload, PartNumber=number, Body=body, ChecksumAlgorithm=algorithm
            )
            parts.append({"ETag": answer["ETag"], "PartNumber": number})

        def complete(value):
            return S3.complete_multipart_upload(
                Bucket=BUCKET,
                Key="whole",
                UploadId=upload,
                MultipartUpload={"Parts": parts},
                ChecksumType="FULL_OBJECT",
                **{f"Checksum{algorithm}": value},
            )

        wrong = base64.b64encode(bytes(len(base64.b64decode(whole)))).decode()
        refused("BadDigest", complete, wrong)
        done = complete(whole)
        assert done[f"Checksum{algorithm}"] == whole and done["ChecksumType"] == "FULL_OBJECT", done
        assert get("whole", ChecksumMode="ENABLED")["Body"].read() == b"".join(bodies)


@check
def parts_by_number():
    upload = S3.create_multipart_upload(Bucket=BUCKET, Key="numbered")["UploadId"]
    bodies = {2: noise(5 << 20), 3: noise(5 << 20), 7: noise(1000)}
    parts = []
    for number, body in bodies.items():
        answer = S3.upload_part(Bucket=BUCKET, Key="numbered", UploadId=upload, PartNumber=number, Body=body)
        parts.append({"ETag": answer["ETag"], "PartNumber": number})

    def complete():
        return S3.complete_multipart_upload(
            Bucket=BUCKET, Key="numbered", UploadId=upload, MultipartUpload={"Parts": parts}
        )

    done = complete()
    assert complete()["ETag"] == done["ETag"], "who asks again is told the same"
    for at, body in enumerate(bodies.values(), 1):
        answer = S3.get_object(Bucket=BUCKET, Key="numbered", PartNumber=at)
        assert answer["Body"].read() == body
        assert answer["PartsCount"] == 3 and answer["ETag"] == done["ETag"], answer
        head = S3.head_object(Bucket=BUCKET, Key="numbered", PartNumber=at, ChecksumMode="ENABLED")
        assert head["ContentLength"] == len(body) and head["PartsCount"] == 3, head
        sum_of_part = base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
        assert head["ChecksumCRC32"] == sum_of_part and head["ChecksumType"] == "COMPOSITE", head
    refused("InvalidPart", S3.get_object, Bucket=BUCKET, Key="numbered", PartNumber=4)
    wanted = ["ETag", "ObjectParts", "ObjectSize"]
    page = S3.get_object_attributes(Bucket=BUCKET, Key="numbered", ObjectAttributes=wanted, MaxParts=2)
    assert page["ETag"] == done["ETag"].strip('"'), page
    listed = page["ObjectParts"]
    assert [(p["PartNumber"], p["Size"]) for p in listed["Parts"]] == [(2, 5 << 20), (3, 5 << 20)], listed
    sums = [base64.b64encode(zlib.crc32(bodies[number]).to_bytes(4, "big")).decode() for number in (2, 3)]
    assert [p["ChecksumCRC32"] for p in listed["Parts"]] == sums, listed
    assert listed["IsTruncated"] and listed["NextPartNumberMarker"] == 3 and listed["TotalPartsCount"] == 3
    put("single", b"one")
    assert S3.get_object(Bucket=BUCKET, Key="single", PartNumber=1)["Body"].read() == b"one"


@check
def the_kind_of_checksum_is_said_at_the_start():
    upload = S3.create_multipart_upload(
        Bucket=BUCKET, Key="full", ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT"
    )["UploadId"]
    body = noise(1000)
    part = S3.upload_part(
        Bucket=BUCKET, Key="full", UploadId=upload, PartNumber=1, Body=body, ChecksumAlgorithm="CRC32"
    )
    done = S3.complete_multipart_upload(
        Bucket=BUCKET, Key="full", UploadId=upload,
        MultipartUpload={"Parts": [{"ETag": part["ETag"], "PartNumber": 1, "ChecksumCRC32": part["ChecksumCRC32"]}]},
    )
    assert done["ChecksumType"] == "FULL_OBJECT" and done["ChecksumCRC32"] == part["ChecksumCRC32"], done
    refused(
        "InvalidRequest", S3.create_multipart_upload,
        Bucket=BUCKET, Key="full", ChecksumAlgorithm="SHA256", ChecksumType="FULL_OBJECT",
    )


@check
def a_refusal_says_which_request_it_was():
    status, body = fetch(f"{ENDPOINT}/{BUCKET}/not-there")
    assert status == 403 and b"<RequestId>" in body, body


@check
def multipart_aborted():
    upload = S3.create_multipart_upload(Bucket=BUCKET, Key="aborted")["UploadId"]
    S3.upload_part(Bucket=BUCKET, Key="aborted", UploadId=upload, PartNumber=1, Body=noise(1000))
    S3.abort_multipart_upload(Bucket=BUCKET, Key="aborted", UploadId=upload)
    refused("NoSuchKey", get, "aborted")
    refused("NoSuchUpload", S3.upload_part, Bucket=BUCKET, Key="aborted", UploadId=upload, PartNumber=2, Body=b"")
    refused("NoSuchUpload", S3.abort_multipart_upload, Bucket=BUCKET, Key="aborted", UploadId=upload)
    refused("NoSuchUpload", S3.abort_multipart_upload, Bucket=BUCKET, Key="aborted", UploadId="nonsense")
    assert "Uploads" not in S3.list_multipart_uploads(Bucket=BUCKET, Prefix="aborted")
    upload = S3.create_multipart_upload(Bucket=BUCKET, Key="numbers")["UploadId"]
    for number in [0, 10001, -1]:
        refused(
            "InvalidArgument", S3.upload_part, Bucket=BUCKET, Key="numbers", UploadId=upload, PartNumber=number, Body=b""
        )
    S3.abort_multipart_upload(Bucket=BUCKET, Key="numbers", UploadId=upload)


@check
def conditional_complete():
    def begin(key):
        upload = S3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
        part = S3.upload_part(Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=1, Body=b"part")
        return dict(
            Bucket=BUCKET,
            Key=key,
            UploadId=upload,
            MultipartUpload={"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]},
        )

    late = begin("cc")
    put("cc", b"first")
    refused("PreconditionFailed", S3.complete_multipart_upload, **late, IfNoneMatch="*")
    assert get("cc")["Body"].read() == b"first"
    S3.complete_multipart_upload(**late)
    assert get("cc")["Body"].read() == b"part"


@check
def copies():
    put("from ü+", b"payload", Metadata={"a": "1"}, ContentType="text/x", CacheControl="no-cache")
    source = {"Bucket": BUCKET, "Key": "from ü+"}
    S3.copy_object(Bucket=BUCKET, Key="kept", CopySource=source)
    got = get("kept")
    assert got["Body"].read() == b"payload" and got["Metadata"] == {"a": "1"}
    assert got["ContentType"] == "text/x" and got["CacheControl"] == "no-cache"
    S3.copy_object(
        Bucket=BUCKET,
        Key="replaced",
        CopySource=source,
        MetadataDirective="REPLACE",
        Metadata={"b": "2"},
        ContentType="text/y",
    )
    got = get("replaced")
    assert got["Metadata"] == {"b": "2"} and got["ContentType"] == "text/y" and "CacheControl" not in got
    refused("InvalidRequest", S3.copy_object, Bucket=BUCKET, Key="kept", CopySource=f"{BUCKET}/kept")
    S3.copy_object(
        Bucket=BUCKET, Key="kept", CopySource=f"{BUCKET}/kept", MetadataDirective="REPLACE", Metadata={"c": "3"}
    )
    assert get("kept")["Metadata"] == {"c": "3"}
    refused("NoSuchKey", S3.copy_object, Bucket=BUCKET, Key="x", CopySource=f"{BUCKET}/absent")
    refused("NoSuchBucket", S3.copy_object, Bucket=BUCKET, Key="x", CopySource="absent-bucket/k")
    refused(
        "PreconditionFailed", S3.copy_object, Bucket=BUCKET, Key="x", CopySource=source, CopySourceIfMatch='"0"'
    )
    S3.create_bucket(Bucket="boto-other")
    S3.copy_object(Bucket="boto-other", Key="k", CopySource=source)
    assert S3.get_object(Bucket="boto-other", Key="k")["Body"].read() == b"payload"


@check
def copies_of_parts():
    body = noise((5 << 20) + 1000)
    put("source", body)
    upload = S3.create_multipart_upload(Bucket=BUCKET, Key="assembled")["UploadId"]
    ranges = [(1, f"bytes=0-{(5 << 20) - 1}"), (2, f"bytes={5 << 20}-{len(body) - 1}")]
    parts = []
    for number, text in ranges:
        answer = S3.upload_part_copy(
            Bucket=BUCKET,
            Key="assembled",
            UploadId=upload,
            PartNumber=number,
            CopySource={"Bucket": BUCKET, "Key": "source"},
            CopySourceRange=text,
        )
        parts.append({"ETag": answer["CopyPartResult"]["ETag"], "PartNumber": number})
    refused(
        "InvalidRange",
        S3.upload_part_copy,
        Bucket=BUCKET,
        Key="assembled",
        UploadId=upload,
        PartNumber=3,
        CopySource=f"{BUCKET}/source",
        CopySourceRange=f"bytes=0-{len(body)}",
    )
    S3.complete_multipart_upload(Bucket=BUCKET, Key="assembled", UploadId=upload, MultipartUpload={"Parts": parts})
    assert get("assembled")["Body"].read() == body


@check
def listing_of_2500_keys():
    bucket = "boto-listing"
    S3.create_bucket(Bucket=bucket)
    keys = sorted([f"d{n % 50:02}/f{n:04}" for n in range(2000)] + [f"flat{n:04}" for n in range(500)])
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda k: S3.put_object(Bucket=bucket, Key=k, Body=k.encode()), keys))

    def all_of(operation, **more):
        found, prefixes, pages = [], [], 0
        for page in S3.get_paginator(operation).paginate(Bucket=bucket, **more):
            pages += 1
            found += [o["Key"] for o in page.get("Contents", [])]
            prefixes += [p["Prefix"] for p in page.get("CommonPrefixes", [])]
        return found, prefixes, pages

    for operation in ["list_objects_v2", "list_objects"]:
        assert all_of(operation) == (keys, [], 3), operation
        flat = [k for k in keys if k.startswith("flat")]
        folders = [f"d{n:02}/" for n in range(50)]
        for size in [7, 50, 51, 1000]:
            found, prefixes, _ = all_of(operation, Delimiter="/", PaginationConfig={"PageSize": size})
            assert found == flat and prefixes == folders, (operation, size, len(found), prefixes)
        found, prefixes, _ = all_of(operation, Delimiter="/", Prefix="d07/")
        assert found == [k for k in keys if k.startswith("d07/")] and prefixes == []
        found, prefixes, _ = all_of(operation, Delimiter="f0")
        assert "d07/f0" in prefixes
    page = S3.list_objects_v2(Bucket=bucket, StartAfter="flat0497")
    assert [o["Key"] for o in page["Contents"]] == ["flat0498", "flat0499"] and page["KeyCount"] == 2
    page = S3.list_objects_v2(Bucket=bucket, Prefix="d00/", MaxKeys=1)
    assert page["KeyCount"] == 1 and page["IsTruncated"]
    page = S3.list_objects_v2(Bucket=bucket, MaxKeys=0)
    assert page["KeyCount"] == 0 and not page["IsTruncated"]
    assert S3.list_objects_v2(Bucket=bucket, MaxKeys=5000)["MaxKeys"] == 1000
    refused("InvalidArgument", S3.list_objects_v2, Bucket=bucket, ContinuationToken="?")
    first = S3.list_objects_v2(Bucket=bucket, MaxKeys=1)["Contents"][0]
    assert first["Size"] == 9 and first["StorageClass"] == "STANDARD" and "Owner" not in first
    assert "Owner" in S3.list_objects_v2(Bucket=bucket, MaxKeys=1, FetchOwner=True)["Contents"][0]
    for start in range(0, 2500, 1000):
        batch = [{"Key": k} for k in keys[start : start + 1000]]
        assert "Errors" not in S3.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
    S3.delete_bucket(Bucket=bucket)


def fetch(url, method="GET", body=None, headers=None):
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def presign(operation, key, life=60, method=None, **params):
    return S3.generate_presigned_url(operation, Params={"Bucket": BUCKET, "Key": key, **params}, ExpiresIn=life)


@check
def presigned_urls():
    put("pre signed/ü+", b"hello")
    url = presign("get_object", "pre signed/ü+")
    assert fetch(url) == (200, b"hello")
    assert fetch(url, headers={"Range": "bytes=1-2"}) == (206, b"el")
    assert fetch(url, "PUT", b"evil")[0] == 403
    assert fetch(url, "DELETE")[0] == 403
    status, answer = fetch(url.replace("pre%20signed", "pre%20sighed"))
    assert status == 403 and b"SignatureDoesNotMatch" in answer
    status, answer = fetch(url.replace("X-Amz-Expires=60", "X-Amz-Expires=600"))
    assert status == 403 and b"SignatureDoesNotMatch" in answer
    flipped = "0" if url[-1] != "0" else "1"
    assert fetch(url[:-1] + flipped)[0] == 403
    url = presign("get_object", "pre signed/ü+", ResponseContentType="text/x", ResponseContentDisposition="inline")
    assert fetch(url)[0] == 200
    assert fetch(url + "&response-cache-control=none")[0] == 403
    url = presign("put_object", "pre/put")
    assert fetch(url, "PUT", b"uploaded")[0] == 200
    assert get("pre/put")["Body"].read() == b"uploaded"
    status, answer = fetch(url, "PUT", b"", {"x-amz-copy-source": f"/{BUCKET}/pre%20signed/%C3%BC%2B"})
    assert status == 403 and b"not signed" in answer, (status, answer)
    assert get("pre/put")["Body"].read() == b"uploaded"
    assert fetch(url, "PUT", b"x", {"x-amz-meta-a": "b"})[0] == 403
    url = presign("put_object", "pre/typed", ContentType="text/plain")
    assert fetch(url, "PUT", b"x", {"Content-Type": "text/html"})[0] == 403
    assert fetch(url, "PUT", b"x", {"Content-Type": "text/plain"})[0] == 200


@check
def presigned_urls_lapse():
    put("lapse", b"x")
    assert fetch(presign("get_object", "lapse", life=604800))[0] == 200
    good = presign("get_object", "lapse")
    for bad in [presign("get_object", "lapse", life=604801), good.replace("X-Amz-Expires=60", "X-Amz-Expires=-60")]:
        status, answer = fetch(bad)
        assert status == 403 and b"AuthorizationQueryParametersError" in answer, answer
    with shifted(hours=-2):
        old = presign("get_object", "lapse", life=3600)
    status, answer = fetch(old)
    assert status == 403 and b"expired" in answer, answer
    with shifted(hours=2):
        early = presign("get_object", "lapse", life=3600)
    status, answer = fetch(early)
    assert status == 403 and b"RequestTimeTooSkewed" in answer, answer


class shifted:
    """The client's clock is off by this much."""

    def __init__(self, **delta):
        self.delta = timedelta(**delta)

    def __enter__(self):
        import botocore.auth
        import botocore.crt.auth

        def clock(remove_tzinfo=True):
            now = datetime.now(timezone.utc) + self.delta
            return now.replace(tzinfo=None) if remove_tzinfo else now

        self.modules = [botocore.auth, botocore.crt.auth]
        self.saved = [module.get_current_datetime for module in self.modules]
        for module in self.modules:
            module.get_current_datetime = clock

    def __exit__(self, *_):
        for module, saved in zip(self.modules, self.saved):
            module.get_current_datetime = saved


@check
def a_wrong_clock_is_named():
    with shifted(hours=1):
        refused("RequestTimeTooSkewed", S3.list_buckets)
    with shifted(hours=-1):
        refused("RequestTimeTooSkewed", S3.list_buckets)
    with shifted(minutes=5):
        S3.list_buckets()


@check
def wrong_keys():
    refused("SignatureDoesNotMatch", client(secret=SECRET + "x").list_buckets)
    refused("InvalidAccessKeyId", client(key_id="NOBODY").list_buckets)
    refused("InvalidRequest", client(signature_version="s3").list_buckets)
    url = client(signature_version="s3").generate_presigned_url(
        "get_object", Params={"Bucket": BUCKET, "Key": "plain"}, ExpiresIn=60
    )
    status, answer = fetch(url)
    assert status == 400 and b"AWS4-HMAC-SHA256" in answer, (status, answer)


@check
def anonymous_is_refused():
    from botocore import UNSIGNED

    nobody = client(signature_version=UNSIGNED)
    for call in [
        lambda: nobody.list_buckets(),
        lambda: nobody.get_object(Bucket=BUCKET, Key="plain"),
        lambda: nobody.put_object(Bucket=BUCKET, Key="plain", Body=b"x"),
        lambda: nobody.list_objects_v2(Bucket="no-such-bucket"),
    ]:
        refused("AccessDenied", call)


@check
def what_is_not_kept_is_refused():
    put("acl", b"", ACL="private")
    refused("NotImplemented", put, "x", b"", ServerSideEncryption="aws:kms")
    put("sse", b"", ServerSideEncryption="AES256")
    refused("InvalidStorageClass", put, "x", b"", StorageClass="GLACIER")
    logging = {"LoggingEnabled": {"TargetBucket": BUCKET, "TargetPrefix": "log"}}
    refused("NotImplemented", S3.put_bucket_logging, Bucket=BUCKET, BucketLoggingStatus=logging)
    refused("InvalidArgument", get, "acl", VersionId="3HL4kqtJlcpXroDTDmJ")
    refused("NoSuchVersion", get, "acl", VersionId="0" * 32)
    get("acl", VersionId="null")
    assert S3.get_object_tagging(Bucket=BUCKET, Key="acl")["TagSet"] == []


@check
def a_body_that_stops_leaves_nothing():
    import socket
    from urllib.parse import urlsplit

    url = presign("put_object", "stopped")
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        head = f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: 3000000\r\n\r\n"
        connection.sendall(head.encode() + os.urandom(1_500_000))
    refused("NoSuchKey", get, "stopped")
    assert "Contents" not in S3.list_objects_v2(Bucket=BUCKET, Prefix="stopped")


run()
