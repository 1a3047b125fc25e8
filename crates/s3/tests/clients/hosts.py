"""Buckets by the name of the host: S3 in the virtual-hosted style, and websites."""

import http.client
import json
import socket
import urllib.parse
import urllib.request

import boto3
from botocore.config import Config

from check import ENDPOINT, KEY_ID, SECRET, check, refused, run
from users import OWNER

PLACE = urllib.parse.urlsplit(ENDPOINT)
look_up = socket.getaddrinfo


def here(host, *rest, **more):
    """Names below `localhost` are this machine, also where nobody has set up a resolver for it."""
    return look_up("127.0.0.1" if isinstance(host, str) and host.endswith(".localhost") else host, *rest, **more)


socket.getaddrinfo = here
VIRTUAL = boto3.client(
    "s3",
    endpoint_url=f"http://s3.localhost:{PLACE.port}",
    region_name="freehold",
    aws_access_key_id=KEY_ID,
    aws_secret_access_key=SECRET,
    config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "virtual"}),
)


def web(bucket, path, method="GET", **headers):
    there = http.client.HTTPConnection(PLACE.netloc, timeout=30)
    there.request(method, path, headers={"Host": f"{bucket}.website.localhost:{PLACE.port}"} | headers)
    answer = there.getresponse()
    return answer.status, answer.headers, answer.read()


@check
def a_bucket_is_called_by_its_name():
    VIRTUAL.create_bucket(Bucket="by-name")
    VIRTUAL.put_object(Bucket="by-name", Key="a/b c+d", Body=b"x" * 100_000, Metadata={"who": "ann"})
    assert OWNER.get_object(Bucket="by-name", Key="a/b c+d")["Metadata"] == {"who": "ann"}
    assert VIRTUAL.get_object(Bucket="by-name", Key="a/b c+d", Range="bytes=5-9")["Body"].read() == b"xxxxx"
    assert [c["Key"] for c in VIRTUAL.list_objects_v2(Bucket="by-name")["Contents"]] == ["a/b c+d"]
    url = VIRTUAL.generate_presigned_url("get_object", Params={"Bucket": "by-name", "Key": "a/b c+d"})
    assert url.startswith("http://by-name.s3.localhost"), url
    assert len(urllib.request.urlopen(url).read()) == 100_000
    VIRTUAL.copy_object(Bucket="by-name", Key="copy", CopySource={"Bucket": "by-name", "Key": "a/b c+d"})
    upload = VIRTUAL.create_multipart_upload(Bucket="by-name", Key="parts")["UploadId"]
    tag = VIRTUAL.upload_part(Bucket="by-name", Key="parts", UploadId=upload, PartNumber=1, Body=b"p")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": tag}]}
    VIRTUAL.complete_multipart_upload(Bucket="by-name", Key="parts", UploadId=upload, MultipartUpload=parts)
    gone = VIRTUAL.delete_objects(Bucket="by-name", Delete={"Objects": [{"Key": k} for k in ["copy", "parts", "a/b c+d"]]})
    assert len(gone["Deleted"]) == 3, gone
    VIRTUAL.delete_bucket(Bucket="by-name")
    refused("NoSuchBucket", VIRTUAL.list_objects_v2, Bucket="by-name")


@check
def pages_of_other_sites_are_told_by_the_bucket_in_the_name():
    OWNER.create_bucket(Bucket="crossed")
    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["https://a.example"]}
    OWNER.put_bucket_cors(Bucket="crossed", CORSConfiguration={"CORSRules": [rule]})
    there = http.client.HTTPConnection(PLACE.netloc, timeout=30)
    headers = {"Host": "crossed.s3.localhost", "Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
    there.request("OPTIONS", "/key", headers=headers)
    answer = there.getresponse()
    assert answer.status == 200 and answer.headers["Access-Control-Allow-Origin"] == "https://a.example"


def site(name, configuration, public="*"):
    OWNER.create_bucket(Bucket=name)
    if public:
        statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{name}/{public}"}
        OWNER.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    OWNER.put_bucket_website(Bucket=name, WebsiteConfiguration=configuration)
    return name


PLAIN = {"IndexDocument": {"Suffix": "index.html"}, "ErrorDocument": {"Key": "oh no.html"}}


@check
def a_website_is_said_and_taken_back():
    OWNER.create_bucket(Bucket="said")
    refused("NoSuchWebsiteConfiguration", OWNER.get_bucket_website, Bucket="said")
    rule = {"Condition": {"KeyPrefixEquals": "a<&>"}, "Redirect": {"ReplaceKeyPrefixWith": "b"}}
    whole = PLAIN | {"RoutingRules": [rule]}
    OWNER.put_bucket_website(Bucket="said", WebsiteConfiguration=whole)
    got = OWNER.get_bucket_website(Bucket="said")
    assert {name: got[name] for name in whole} == whole, got
    OWNER.delete_bucket_website(Bucket="said")
    refused("NoSuchWebsiteConfiguration", OWNER.get_bucket_website, Bucket="said")
    bad = {"IndexDocument": {"Suffix": "a/b"}}
    refused("InvalidArgument", OWNER.put_bucket_website, Bucket="said", WebsiteConfiguration=bad)
    assert web("said", "/")[0] == 404 and web("never-there", "/")[0] == 404


@check
def a_website_shows_its_documents():
    name = site("shown", PLAIN)
    page = "<h1>Grüße</h1>".encode()
    for key, body in [("index.html", page), ("sub dir/index.html", b"sub"), ("a.css", b"p{}"), ("oh no.html", b"sorry")]:
        OWNER.put_object(Bucket=name, Key=key, Body=body, ContentType="text/css" if key == "a.css" else "text/html")
    for path, expected in [("/", page), ("/index.html", page), ("/sub%20dir/", b"sub"), ("/a.css?v=3", b"p{}")]:
        status, headers, body = web(name, path)
        assert (status, body) == (200, expected), (path, status, body)
    assert headers["Content-Type"] == "text/css", headers["Content-Type"]
    status, headers, body = web(name, "/sub%20dir")
    assert (status, headers["Location"]) == (302, "/sub%20dir/"), (status, headers["Location"])
    status, headers, body = web(name, "/index.html", "HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", str(len(page)))
    assert web(name, "/", **{"If-None-Match": headers["ETag"]})[0] == 304
    assert web(name, "/", Range="bytes=0-3")[0::2] == (206, b"<h1>")
    assert web(name, "/nothing", )[0::2] == (403, b"sorry"), "who may not list hears no more"
    assert web(name, "/", "PUT")[0] == 405 and web(name, "/%zz")[0] == 400
    # The query of the API means nothing to a website, nor does a signature.
    assert web(name, "/?policy")[2] == page and web(name, "/?versionId=x")[2] == page
    assert web(name, "/", Authorization="AWS4-HMAC-SHA256 x")[2] == page


@check
def a_website_shows_nothing_that_is_not_public():
    name = site("closed", PLAIN, public="open/*")
    OWNER.put_object(Bucket=name, Key="index.html", Body=b"secret")
    OWNER.put_object(Bucket=name, Key="oh no.html", Body=b"secret")
    OWNER.put_object(Bucket=name, Key="open/index.html", Body=b"open")
    for path in ["/", "/index.html", "/x"]:
        status, _, body = web(name, path)
        assert status == 403 and b"secret" not in body, (path, status, body)
    assert web(name, "/open/")[2] == b"open"
    block = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True}
    OWNER.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=block)
    assert web(name, "/open/")[0] == 403


@check
def a_website_sends_elsewhere():
    rules = [
        {"Condition": {"KeyPrefixEquals": "old/"}, "Redirect": {"ReplaceKeyPrefixWith": "new/"}},
        {"Condition": {"KeyPrefixEquals": "gone/", "HttpErrorCodeReturnedEquals": "403"},
         "Redirect": {"HostName": "a.example", "Protocol": "https", "ReplaceKeyWith": "x", "HttpRedirectCode": "302"}},
    ]
    name = site("rules", PLAIN | {"RoutingRules": rules})
    status, headers, _ = web(name, "/old/a%20b")
    assert (status, headers["Location"]) == (301, "/new/a%20b"), (status, headers["Location"])
    status, headers, _ = web(name, "/gone/a")
    assert (status, headers["Location"]) == (302, "https://a.example/x"), (status, headers["Location"])
    OWNER.put_object(Bucket=name, Key="gone/here", Body=b"here")
    assert web(name, "/gone/here")[2] == b"here"
    OWNER.put_object(Bucket=name, Key="moved", Body=b"", WebsiteRedirectLocation="/new/place")
    assert OWNER.head_object(Bucket=name, Key="moved")["WebsiteRedirectLocation"] == "/new/place"
    status, headers, _ = web(name, "/moved")
    assert (status, headers["Location"]) == (301, "/new/place"), (status, headers["Location"])
    refused("InvalidRedirectLocation", OWNER.put_object, Bucket=name, Key="m", WebsiteRedirectLocation="ftp://x")
    other = site("other", {"RedirectAllRequestsTo": {"HostName": "b.example", "Protocol": "https"}})
    status, headers, _ = web(other, "/x/y")
    assert (status, headers["Location"]) == (301, "https://b.example/x/y"), (status, headers["Location"])


run()
