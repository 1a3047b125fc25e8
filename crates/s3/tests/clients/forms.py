"""Uploads by form, as a page in a browser sends them, signed as boto3 signs them and in the old way."""

import base64
import datetime
import hashlib
import hmac
import http.client
import json
import os
import urllib.parse

from check import ENDPOINT, KEY_ID, SECRET, check, refused, run
from users import ALT, NOBODY, OWNER, client

PLACE = urllib.parse.urlsplit(ENDPOINT)
BUCKET = "forms"
OWNER.create_bucket(Bucket=BUCKET)


def send(fields, body, file_name="photo.jpg", bucket=BUCKET, path=None):
    """The answer to a form: status, headers, body."""
    mark = "----form" + os.urandom(8).hex()
    parts = b""
    for name, value in fields.items():
        parts += f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode()
        parts += (value if isinstance(value, bytes) else value.encode()) + b"\r\n"
    if body is not None:
        parts += f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{file_name}"\r\n'.encode()
        parts += b"Content-Type: application/octet-stream\r\n\r\n" + body + b"\r\n"
    parts += f"--{mark}--\r\n".encode()
    there = http.client.HTTPConnection(PLACE.netloc, timeout=30)
    there.request("POST", path or f"/{bucket}", parts, {"Content-Type": f"multipart/form-data; boundary={mark}"})
    answer = there.getresponse()
    return answer.status, answer.headers, answer.read().decode()


def presigned(key, fields=None, conditions=None, who=OWNER, seconds=600):
    return who.generate_presigned_post(BUCKET, key, Fields=fields, Conditions=conditions, ExpiresIn=seconds)["fields"]


def old(conditions, seconds=600, **fields):
    """The fields of a form that is signed in the old way."""
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    policy = {"expiration": until.strftime("%Y-%m-%dT%H:%M:%SZ"), "conditions": conditions}
    policy = base64.b64encode(json.dumps(policy).encode())
    signature = base64.b64encode(hmac.new(SECRET.encode(), policy, hashlib.sha1).digest())
    return {"AWSAccessKeyId": KEY_ID, "policy": policy, "signature": signature} | fields


def code(answer, expected_status, expected_code):
    status, _, text = answer
    assert status == expected_status and f"<Code>{expected_code}</Code>" in text, answer


@check
def a_form_that_boto3_signed_is_taken():
    body = os.urandom(3_000_000) + b"\r\n--almost\r\n-" + os.urandom(70_000)
    status, headers, text = send(presigned("in/${filename}"), body, "C:\\My photos\\Grüße.jpg")
    assert (status, text) == (204, ""), (status, text)
    got = OWNER.get_object(Bucket=BUCKET, Key="in/Grüße.jpg")
    assert got["Body"].read() == body
    assert headers["ETag"] == got["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    assert send(presigned("empty"), b"")[0] == 204
    assert OWNER.head_object(Bucket=BUCKET, Key="empty")["ContentLength"] == 0


@check
def what_the_form_says_is_kept_with_the_object():
    more = {"Content-Type": "image/png", "Cache-Control": "no-store", "x-amz-meta-who": "Änne",
            "success_action_status": "201",
            "tagging": "<Tagging><TagSet><Tag><Key>a</Key><Value>b c</Value></Tag></TagSet></Tagging>"}
    status, headers, text = send(presigned("told", more, [{name: value} for name, value in more.items()]), b"x")
    assert status == 201 and "<Key>told</Key>" in text and f"<Bucket>{BUCKET}</Bucket>" in text, (status, text)
    assert headers["Location"].endswith(f"/{BUCKET}/told"), headers["Location"]
    got = OWNER.get_object(Bucket=BUCKET, Key="told")
    assert got["ContentType"] == "image/png" and got["CacheControl"] == "no-store", got
    tags = OWNER.get_object_tagging(Bucket=BUCKET, Key="told")["TagSet"]
    assert tags == [{"Key": "a", "Value": "b c"}], tags
    to = "http://example.org/thanks?page=1"
    status, headers, _ = send(presigned("sent", {"success_action_redirect": to}, [{"success_action_redirect": to}]), b"y")
    tag = hashlib.md5(b"y").hexdigest()
    assert status == 303 and headers["Location"] == f"{to}&bucket={BUCKET}&key=sent&etag=%22{tag}%22", headers["Location"]


@check
def a_policy_is_kept_to():
    assert send(presigned("out/a", conditions=[["content-length-range", 2, 4]]), b"123")[0] == 204
    code(send(presigned("out/b", conditions=[["content-length-range", 2, 4]]), b"12345"), 400, "EntityTooLarge")
    code(send(presigned("out/b", conditions=[["content-length-range", 2, 4]]), b"1"), 400, "EntityTooSmall")
    code(send(presigned("out/b") | {"key": "other"}, b"x"), 403, "AccessDenied")
    code(send(presigned("out/b") | {"x-amz-meta-mine": "more"}, b"x"), 403, "AccessDenied")
    code(send(presigned("out/b", {"acl": "private"}, [["starts-with", "$acl", "pri"]]) | {"acl": "public-read"}, b"x"), 403, "AccessDenied")
    code(send(presigned("out/b", seconds=-1), b"x"), 403, "AccessDenied")
    OWNER.create_bucket(Bucket="forms-other")
    code(send(presigned("out/b"), b"x", bucket="forms-other"), 403, "AccessDenied")
    refused(("NoSuchKey", "404"), OWNER.head_object, Bucket=BUCKET, Key="out/b")


@check
def a_signature_counts():
    good = presigned("sig")
    code(send(good | {"x-amz-signature": "0" * 64}, b"x"), 403, "SignatureDoesNotMatch")
    code(send(good | {"policy": presigned("sig", seconds=700)["policy"]}, b"x"), 403, "SignatureDoesNotMatch")
    wrong = good["x-amz-credential"].replace(KEY_ID, "NOBODY")
    code(send(good | {"x-amz-credential": wrong}, b"x"), 403, "InvalidAccessKeyId")
    unsigned = {name: value for name, value in good.items() if name != "x-amz-signature"}
    code(send(unsigned, b"x"), 400, "InvalidArgument")
    code(send({"key": "sig", "x-amz-signature": "0" * 64}, b"x"), 400, "InvalidArgument")
    conditions = [{"bucket": BUCKET}, ["starts-with", "$key", "sig"]]
    assert send(old(conditions, key="sig/old"), b"old")[0] == 204
    code(send(old(conditions, key="sig/x") | {"signature": base64.b64encode(b"x" * 20)}, b"x"), 403, "SignatureDoesNotMatch")
    code(send(old(conditions, key="other"), b"x"), 403, "AccessDenied")
    code(send(old(conditions, seconds=-1, key="sig/x"), b"x"), 403, "AccessDenied")
    code(send(old(conditions[1:], key="sig/x"), b"x"), 403, "AccessDenied")
    code(send(old([], key="sig/x"), b"x"), 400, "InvalidPolicyDocument")
    refused(("NoSuchKey", "404"), OWNER.head_object, Bucket=BUCKET, Key="sig")


@check
def a_key_and_a_policy_bound_what_a_form_may_do():
    code(send(presigned("theirs", who=ALT), b"x"), 403, "AccessDenied")
    code(send(presigned("theirs", who=client("READ")), b"x"), 403, "AccessDenied")
    code(send({"key": "anon"}, b"x"), 403, "AccessDenied")
    code(send({"key": "anon"}, b"x", bucket="never-there"), 403, "AccessDenied")
    OWNER.create_bucket(Bucket="forms-open", ACL="public-read-write")
    status, _, _ = send({"key": "anon", "acl": "public-read"}, b"bar", bucket="forms-open")
    assert status == 204
    assert NOBODY.get_object(Bucket="forms-open", Key="anon")["Body"].read() == b"bar"
    code(send({"key": "anon"} | {"x-amz-copy-source": f"{BUCKET}/told"}, b"x", bucket="forms-open"), 400, "InvalidArgument")


@check
def a_form_that_is_none_is_refused():
    code(send({"acl": "private"}, b"x"), 400, "InvalidArgument")
    code(send(presigned("none"), None), 400, "InvalidArgument")
    code(send(presigned("none"), b"x", path=f"/{BUCKET}/none"), 405, "MethodNotAllowed")
    code(send({f"f{n}": "x" for n in range(200)}, b"x"), 400, "MalformedPOSTRequest")
    code(send({"key": "k" * 1100}, b"x"), 400, "KeyTooLongError")
    code(send({"a": "x" * 300_000, "key": "k"}, b"x"), 400, "MalformedPOSTRequest")
    there = http.client.HTTPConnection(PLACE.netloc, timeout=30)
    there.request("POST", f"/{BUCKET}", b"--x\r\nnonsense", {"Content-Type": "multipart/form-data; boundary=x"})
    assert there.getresponse().status == 400
    # One that ends in the middle of its file leaves nothing.
    fields = presigned("half")
    mark = "m" * 20
    head = b"".join(f'--{mark}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n'.encode() for n, v in fields.items())
    head += f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'.encode()
    there.close()
    there.request("POST", f"/{BUCKET}", head + b"z" * 1000, {"Content-Type": f"multipart/form-data; boundary={mark}"})
    assert there.getresponse().status == 400
    refused(("NoSuchKey", "404"), OWNER.head_object, Bucket=BUCKET, Key="half")


run()
