"""What programs do with a bucket, as boto3 does it, with the answers that S3 would give."""
import hashlib, io, os
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

s3 = boto3.client("s3", config=Config(retries={"max_attempts": 1}))


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] in code, error.response
        return error.response["Error"]["Message"]
    raise AssertionError(f"{call.__name__} should be refused with {code}")


s3.create_bucket(Bucket="box")
assert "box" in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]

# Objects with their description.
body = os.urandom(300_000)
put = s3.put_object(Bucket="box", Key="a/one", Body=body, ContentType="image/jpeg", Metadata={"who": "ann"})
assert put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"', put
got = s3.get_object(Bucket="box", Key="a/one")
assert got["Body"].read() == body and got["ContentType"] == "image/jpeg" and got["Metadata"] == {"who": "ann"}
head = s3.head_object(Bucket="box", Key="a/one")
assert head["ContentLength"] == len(body) and head["ETag"] == put["ETag"]

# Ranges, across the borders of sealed chunks.
for first, last in [(0, 0), (65_535, 65_536), (131_000, 262_200), (299_999, 299_999)]:
    part = s3.get_object(Bucket="box", Key="a/one", Range=f"bytes={first}-{last}")
    assert part["Body"].read() == body[first : last + 1]
    assert part["ContentRange"] == f"bytes {first}-{last}/{len(body)}"
assert s3.get_object(Bucket="box", Key="a/one", Range="bytes=-10")["Body"].read() == body[-10:]
refused(["InvalidRange"], s3.get_object, Bucket="box", Key="a/one", Range="bytes=300000-")

# Conditions.
refused(["PreconditionFailed"], s3.put_object, Bucket="box", Key="a/one", Body=b"x", IfNoneMatch="*")
s3.put_object(Bucket="box", Key="a/new", Body=b"x", IfNoneMatch="*")
refused(["PreconditionFailed"], s3.put_object, Bucket="box", Key="a/new", Body=b"y", IfMatch='"0"')
refused(["304"], s3.get_object, Bucket="box", Key="a/one", IfNoneMatch=put["ETag"])
refused(["PreconditionFailed", "412"], s3.get_object, Bucket="box", Key="a/one", IfMatch='"0"')

# Checksums, sent, kept and verified.
for algorithm in ["CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME"]:
    try:
        sent = s3.put_object(Bucket="box", Key="sum", Body=body, ChecksumAlgorithm=algorithm)
    except Exception as error:  # CRC64NVME and CRC32C need the client's optional library.
        assert "awscrt" in str(error).lower() or "crt" in str(error).lower(), error
        continue
    kept = s3.head_object(Bucket="box", Key="sum", ChecksumMode="ENABLED")
    assert kept[f"Checksum{algorithm}"] == sent[f"Checksum{algorithm}"], (algorithm, kept)
refused(["BadDigest", "InvalidDigest"], s3.put_object, Bucket="box", Key="bad", Body=b"x", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")
refused(["NoSuchKey", "404"], s3.head_object, Bucket="box", Key="bad")

# Lists, by pages, prefixes and delimiters.
for number in range(25):
    s3.put_object(Bucket="box", Key=f"list/{number % 5}/{number:02}", Body=b"")
pages = s3.get_paginator("list_objects_v2").paginate(Bucket="box", Prefix="list/", PaginationConfig={"PageSize": 7})
keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
assert len(keys) == 25 and keys == sorted(keys), keys
folders = s3.list_objects_v2(Bucket="box", Prefix="list/", Delimiter="/")
assert [p["Prefix"] for p in folders["CommonPrefixes"]] == [f"list/{n}/" for n in range(5)], folders
first = s3.list_objects(Bucket="box", Prefix="list/", MaxKeys=10)
assert first["IsTruncated"] and len(first["Contents"]) == 10
after = s3.list_objects_v2(Bucket="box", Prefix="list/", StartAfter="list/4/19")
assert [item["Key"] for item in after["Contents"]] == ["list/4/24"]

# Copies.
s3.copy_object(Bucket="box", Key="copied", CopySource={"Bucket": "box", "Key": "a/one"})
assert s3.get_object(Bucket="box", Key="copied")["Metadata"] == {"who": "ann"}
s3.copy_object(Bucket="box", Key="copied", CopySource={"Bucket": "box", "Key": "a/one"},
               MetadataDirective="REPLACE", Metadata={"who": "bob"})
assert s3.head_object(Bucket="box", Key="copied")["Metadata"] == {"who": "bob"}

# Multipart, with a hole left and one given up.
upload = s3.create_multipart_upload(Bucket="box", Key="parts", ContentType="video/mp4")["UploadId"]
pieces = [os.urandom(5 << 20), os.urandom(5 << 20), b"end"]
tags = {}
for number in (3, 1, 2):
    tags[number] = s3.upload_part(Bucket="box", Key="parts", UploadId=upload, PartNumber=number, Body=pieces[number - 1])["ETag"]
assert len(s3.list_parts(Bucket="box", Key="parts", UploadId=upload)["Parts"]) == 3
assert upload in [u["UploadId"] for u in s3.list_multipart_uploads(Bucket="box")["Uploads"]]
refused(["NoSuchKey", "404"], s3.head_object, Bucket="box", Key="parts")
done = s3.complete_multipart_upload(Bucket="box", Key="parts", UploadId=upload, MultipartUpload={
    "Parts": [{"PartNumber": n, "ETag": tags[n]} for n in (1, 2, 3)]})
assert done["ETag"].strip('"').endswith("-3"), done
whole = s3.get_object(Bucket="box", Key="parts")
assert whole["Body"].read() == b"".join(pieces) and whole["ContentType"] == "video/mp4"
across = s3.get_object(Bucket="box", Key="parts", Range=f"bytes={(5 << 20) - 3}-{(5 << 20) + 2}")
assert across["Body"].read() == pieces[0][-3:] + pieces[1][:3]
given_up = s3.create_multipart_upload(Bucket="box", Key="never")["UploadId"]
s3.upload_part(Bucket="box", Key="never", UploadId=given_up, PartNumber=1, Body=b"x")
s3.abort_multipart_upload(Bucket="box", Key="never", UploadId=given_up)
refused(["NoSuchUpload"], s3.upload_part, Bucket="box", Key="never", UploadId=given_up, PartNumber=1, Body=b"x")

# Deleting, one and many.
s3.delete_object(Bucket="box", Key="copied")
s3.delete_object(Bucket="box", Key="never-there")
refused(["NoSuchKey"], s3.get_object, Bucket="box", Key="copied")
refused(["BucketNotEmpty"], s3.delete_bucket, Bucket="box")
every = [item["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket="box") for item in page["Contents"]]
gone = s3.delete_objects(Bucket="box", Delete={"Objects": [{"Key": key} for key in every]})
assert len(gone["Deleted"]) == len(every) and "Errors" not in gone, gone
s3.delete_bucket(Bucket="box")
refused(["NoSuchBucket"], s3.list_objects_v2, Bucket="box")

# Odd names and streams of unknown length.
s3.create_bucket(Bucket="odd")
for key in ["spaces and +plus", "Grüße/日本", "a//b", "trailing/", "percent%20", "q?x=1&y=2", "k" * 1000]:
    s3.put_object(Bucket="odd", Key=key, Body=key.encode())
    assert s3.get_object(Bucket="odd", Key=key)["Body"].read() == key.encode(), key
s3.upload_fileobj(io.BytesIO(b"z" * 100_000), "odd", "stream")
assert s3.head_object(Bucket="odd", Key="stream")["ContentLength"] == 100_000

# A stranger's key.
stranger = boto3.client("s3", aws_access_key_id="nobody", aws_secret_access_key="x" * 40)
refused(["InvalidAccessKeyId"], stranger.list_buckets)
wrong = boto3.client("s3", aws_secret_access_key="x" * 40, aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"])
assert "secret" in refused(["SignatureDoesNotMatch"], wrong.list_buckets)
print("all as expected")
