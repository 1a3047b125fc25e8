"""Who may do what to a bucket: owners, policies, lists, the public access block, pages of other sites."""

import json
import urllib.error
import urllib.request

from check import ENDPOINT, check, refused, run
from users import ALT, ALT_ID, NOBODY, OWNER, client

MAIN = client("MAIN")
EVERYBODY = {"AWS": "*"}


def statement(action, resource, effect="Allow", principal=EVERYBODY, condition=None):
    line = {"Effect": effect, "Principal": principal, "Action": action, "Resource": f"arn:aws:s3:::{resource}"}
    return line | ({"Condition": condition} if condition else {})


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def bucket(name, **more):
    """A bucket of MAIN's with one object."""
    MAIN.create_bucket(Bucket=name, **more)
    MAIN.put_object(Bucket=name, Key="a", Body=b"x")
    return name


def grants(answer):
    """What is granted: to a group by the end of its address, to others by their id."""
    def who(grantee):
        return grantee.get("ID") or grantee["URI"].rsplit("/", 1)[1]
    return sorted((who(g["Grantee"]), g["Permission"]) for g in answer["Grants"])


@check
def who_makes_a_bucket_owns_it():
    name = bucket("owned")
    assert [b["Name"] for b in MAIN.list_buckets()["Buckets"]] == [name]
    assert MAIN.list_buckets()["Owner"]["ID"] == "freehold/main"
    assert name not in [b["Name"] for b in ALT.list_buckets()["Buckets"]]
    assert name in [b["Name"] for b in OWNER.list_buckets()["Buckets"]], "the realm's owner sees all"
    refused("AccessDenied", ALT.get_object, Bucket=name, Key="a")
    refused("AccessDenied", ALT.put_object, Bucket=name, Key="b", Body=b"")
    assert OWNER.get_object(Bucket=name, Key="a")["Body"].read() == b"x"
    refused("BucketAlreadyExists", ALT.create_bucket, Bucket=name)
    MAIN.create_bucket(Bucket=name)
    refused("BucketAlreadyExists", MAIN.create_bucket, Bucket=name, ACL="public-read")
    refused("BucketAlreadyOwnedByYou", MAIN.create_bucket, Bucket=name, ObjectLockEnabledForBucket=True)
    assert MAIN.get_object(Bucket=name, Key="a")["Body"].read() == b"x"
    listed = MAIN.list_objects_v2(Bucket=name, FetchOwner=True)["Contents"][0]
    assert listed["Owner"] == {"DisplayName": "main", "ID": "freehold/main"}


@check
def a_policy_lets_in_whom_it_names():
    name = bucket("by-policy")
    refused("NoSuchBucketPolicy", MAIN.get_bucket_policy, Bucket=name)
    text = policy(
        statement("s3:GetObject", f"{name}/*"),
        statement(["s3:ListBucket", "s3:PutObject"], f"{name}*", principal={"AWS": f"arn:aws:iam:::user/{ALT_ID}"}),
        statement("s3:PutObject", f"{name}/closed/*", effect="Deny"),
    )
    MAIN.put_bucket_policy(Bucket=name, Policy=text)
    assert MAIN.get_bucket_policy(Bucket=name)["Policy"] == text
    assert MAIN.get_bucket_policy_status(Bucket=name)["PolicyStatus"]["IsPublic"]
    assert NOBODY.get_object(Bucket=name, Key="a")["Body"].read() == b"x"
    refused("AccessDenied", NOBODY.list_objects_v2, Bucket=name)
    refused("AccessDenied", NOBODY.get_object, Bucket=name, Key="none")
    ALT.put_object(Bucket=name, Key="of-alt", Body=b"y")
    assert ALT.list_objects_v2(Bucket=name)["KeyCount"] == 2
    refused("NoSuchKey", ALT.get_object, Bucket=name, Key="none")
    error = refused("AccessDenied", MAIN.put_object, Bucket=name, Key="closed/a", Body=b"")
    assert "statement 3" in str(error), error
    refused("AccessDenied", ALT.delete_bucket_policy, Bucket=name)
    MAIN.delete_bucket_policy(Bucket=name)
    refused("AccessDenied", NOBODY.get_object, Bucket=name, Key="a")


@check
def an_empty_version_is_no_version():
    name = bucket("versions")
    MAIN.put_bucket_policy(Bucket=name, Policy=policy(statement("s3:GetObjectVersion", f"{name}/*")))
    assert ask("GET", f"{name}/a?versionId=null")[0] == 200
    for query in ["versionId=", "versionId=&versionId=null", ""]:
        assert ask("GET", f"{name}/a?{query}")[0] in (400, 403), query


@check
def conditions_are_asked():
    name = bucket("conditions")
    MAIN.put_bucket_policy(Bucket=name, Policy=policy(
        statement("s3:ListBucket", name, condition={"StringLike": {"s3:prefix": "open/*"}}),
        statement("s3:GetObject", f"{name}/*", condition={"IpAddress": {"aws:SourceIp": ["127.0.0.0/8", "::1"]}}),
        statement("s3:PutObject", f"{name}/*", condition={"StringEquals": {"s3:x-amz-acl": "private"}}),
        statement("s3:DeleteObject", f"{name}/*", condition={"Bool": {"aws:SecureTransport": True}}),
    ))
    ALT.list_objects_v2(Bucket=name, Prefix="open/x")
    refused("AccessDenied", ALT.list_objects_v2, Bucket=name)
    assert NOBODY.get_object(Bucket=name, Key="a")["Body"].read() == b"x"
    ALT.put_object(Bucket=name, Key="b", Body=b"", ACL="private")
    refused("AccessDenied", ALT.put_object, Bucket=name, Key="b", Body=b"")
    refused("AccessDenied", ALT.put_object, Bucket=name, Key="b", Body=b"", ACL="public-read")
    refused("AccessDenied", ALT.delete_object, Bucket=name, Key="b")


@check
def a_policy_that_is_not_understood_is_refused():
    name = bucket("malformed")
    good = statement("s3:GetObject", f"{name}/*")
    for wrong in [
        good | {"Conditions": {}},
        good | {"Condition": {"StringSame": {"s3:prefix": "a"}}},
        good | {"Condition": {"StringEquals": {"s3:mood": "a"}}},
        good | {"Action": "s3:GetObjekt"},
        good | {"Resource": "arn:aws:s3:::other/*"},
        good | {"Principal": {"AWS": "somebody"}},
        {k: v for k, v in good.items() if k != "Principal"},
    ]:
        refused("MalformedPolicy", MAIN.put_bucket_policy, Bucket=name, Policy=policy(wrong))
    refused("MalformedPolicy", MAIN.put_bucket_policy, Bucket=name, Policy="{")
    refused("NoSuchBucketPolicy", MAIN.get_bucket_policy, Bucket=name)


@check
def the_source_of_a_copy_needs_its_own_permission():
    name, target = bucket("source"), "of-alt"
    ALT.create_bucket(Bucket=target)
    copy = {"Bucket": target, "Key": "copy", "CopySource": f"{name}/a"}
    refused("AccessDenied", ALT.copy_object, **copy)
    upload = ALT.create_multipart_upload(Bucket=target, Key="parts")["UploadId"]
    part = {"Bucket": target, "Key": "parts", "UploadId": upload, "PartNumber": 1, "CopySource": f"{name}/a"}
    refused("AccessDenied", ALT.upload_part_copy, **part)
    MAIN.put_bucket_policy(Bucket=name, Policy=policy(statement("s3:GetObject", f"{name}/a")))
    ALT.copy_object(**copy)
    ALT.upload_part_copy(**part)
    ALT.abort_multipart_upload(Bucket=target, Key="parts", UploadId=upload)


@check
def each_key_of_many_to_delete_needs_its_own_permission():
    name = bucket("many")
    MAIN.put_object(Bucket=name, Key="b", Body=b"")
    MAIN.put_bucket_policy(Bucket=name, Policy=policy(statement("s3:DeleteObject", f"{name}/a")))
    answer = ALT.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "a"}, {"Key": "b"}]})
    assert [d["Key"] for d in answer["Deleted"]] == ["a"], answer
    assert [(e["Key"], e["Code"]) for e in answer["Errors"]] == [("b", "AccessDenied")], answer


@check
def lists_of_a_bucket():
    name = bucket("lists")
    full = ("freehold/main", "FULL_CONTROL")
    assert grants(MAIN.get_bucket_acl(Bucket=name)) == [full]
    MAIN.put_bucket_acl(Bucket=name, ACL="public-read")
    assert grants(MAIN.get_bucket_acl(Bucket=name)) == [("AllUsers", "READ"), full]
    assert MAIN.get_bucket_policy_status(Bucket=name)["PolicyStatus"]["IsPublic"]
    assert NOBODY.list_objects_v2(Bucket=name)["KeyCount"] == 1
    refused("AccessDenied", NOBODY.get_object, Bucket=name, Key="a")
    MAIN.put_bucket_acl(Bucket=name, GrantWrite=f"id={ALT_ID}")
    assert grants(MAIN.get_bucket_acl(Bucket=name)) == [(ALT_ID, "WRITE")]
    refused("AccessDenied", ALT.get_bucket_acl, Bucket=name)
    ALT.put_object(Bucket=name, Key="of-alt", Body=b"y")
    refused("InvalidArgument", MAIN.put_bucket_acl, Bucket=name, GrantRead="id=freehold/nobody")
    refused("InvalidArgument", MAIN.put_bucket_acl, Bucket=name, GrantRead="id=x")
    refused("UnresolvableGrantByEmailAddress", MAIN.put_bucket_acl, Bucket=name, GrantRead="emailAddress=a@b.c")
    refused("InvalidRequest", MAIN.put_bucket_acl, Bucket=name, ACL="private", GrantRead=f"id={ALT_ID}")


@check
def lists_of_an_object():
    name = bucket("shown", ACL="public-read-write")
    MAIN.put_object(Bucket=name, Key="open", Body=b"y", ACL="public-read")
    assert NOBODY.get_object(Bucket=name, Key="open")["Body"].read() == b"y"
    MAIN.copy_object(Bucket=name, Key="copy", CopySource=f"{name}/open")
    refused("AccessDenied", NOBODY.get_object, Bucket=name, Key="copy")
    MAIN.put_object_acl(Bucket=name, Key="copy", ACL="authenticated-read")
    refused("AccessDenied", NOBODY.get_object, Bucket=name, Key="copy")
    assert ALT.get_object(Bucket=name, Key="copy")["Body"].read() == b"y"
    upload = MAIN.create_multipart_upload(Bucket=name, Key="parts", ACL="public-read")["UploadId"]
    part = MAIN.upload_part(Bucket=name, Key="parts", UploadId=upload, PartNumber=1, Body=b"z")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    MAIN.complete_multipart_upload(Bucket=name, Key="parts", UploadId=upload, MultipartUpload=parts)
    assert NOBODY.get_object(Bucket=name, Key="parts")["Body"].read() == b"z"


@check
def what_another_writes_is_theirs():
    name = bucket("guests", ACL="public-read-write")
    ALT.put_object(Bucket=name, Key="theirs", Body=b"y")
    assert ALT.get_object_acl(Bucket=name, Key="theirs")["Owner"]["ID"] == ALT_ID
    refused("AccessDenied", MAIN.get_object, Bucket=name, Key="theirs")
    ALT.put_object_acl(Bucket=name, Key="theirs", ACL="bucket-owner-full-control")
    assert MAIN.get_object(Bucket=name, Key="theirs")["Body"].read() == b"y"
    # What nobody in particular writes is the bucket owner's.
    NOBODY.put_object(Bucket=name, Key="found", Body=b"z")
    assert MAIN.get_object(Bucket=name, Key="found")["Body"].read() == b"z"
    refused("AccessDenied", NOBODY.get_object, Bucket=name, Key="found")
    ALT.put_object(Bucket=name, Key="more", Body=b"y")
    MAIN.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "more"}]})


@check
def the_owner_may_switch_lists_off():
    name = bucket("enforced", ObjectOwnership="BucketOwnerEnforced")
    rules = MAIN.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"]
    assert rules == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    for call, more in [
        (MAIN.put_bucket_acl, {"ACL": "public-read"}),
        (MAIN.put_object_acl, {"Key": "a", "ACL": "public-read"}),
        (MAIN.put_object, {"Key": "b", "ACL": "public-read", "Body": b""}),
    ]:
        refused("AccessControlListNotSupported", call, Bucket=name, **more)
    MAIN.put_object(Bucket=name, Key="b", Body=b"", ACL="bucket-owner-full-control")
    MAIN.delete_bucket_ownership_controls(Bucket=name)
    refused("OwnershipControlsNotFoundError", MAIN.get_bucket_ownership_controls, Bucket=name)


@check
def a_block_keeps_strangers_out():
    name = bucket("blocked")
    refused("NoSuchPublicAccessBlockConfiguration", MAIN.get_public_access_block, Bucket=name)
    MAIN.put_bucket_acl(Bucket=name, ACL="public-read")
    MAIN.put_bucket_policy(Bucket=name, Policy=policy(statement("s3:GetObject", f"{name}/*")))
    block = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True}
    MAIN.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=block)
    assert MAIN.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"] == block
    assert not MAIN.get_bucket_policy_status(Bucket=name)["PolicyStatus"]["IsPublic"]
    refused("AccessDenied", NOBODY.list_objects_v2, Bucket=name)
    refused("AccessDenied", NOBODY.get_object, Bucket=name, Key="a")
    refused("AccessDenied", MAIN.put_bucket_acl, Bucket=name, ACL="public-read")
    refused("AccessDenied", MAIN.put_object, Bucket=name, Key="b", Body=b"", ACL="public-read")
    refused("AccessDenied", MAIN.put_bucket_policy, Bucket=name, Policy=policy(statement("s3:*", f"{name}/*")))
    assert MAIN.get_object(Bucket=name, Key="a")["Body"].read() == b"x"
    MAIN.delete_public_access_block(Bucket=name)
    assert NOBODY.get_object(Bucket=name, Key="a")["Body"].read() == b"x"


@check
def an_owner_who_is_expected_to_be_another():
    name = bucket("expected")
    MAIN.head_bucket(Bucket=name, ExpectedBucketOwner="freehold/main")
    refused("AccessDenied", MAIN.put_object, Bucket=name, Key="b", Body=b"", ExpectedBucketOwner=ALT_ID)


@check
def how_objects_are_sealed_by_default():
    name = bucket("sealed")
    refused("ServerSideEncryptionConfigurationNotFoundError", MAIN.get_bucket_encryption, Bucket=name)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    MAIN.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    rules = MAIN.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    kms = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    refused("NotImplemented", MAIN.put_bucket_encryption, Bucket=name, ServerSideEncryptionConfiguration={"Rules": [kms]})
    MAIN.delete_bucket_encryption(Bucket=name)


def ask(method, path, **headers):
    """Status and headers of a request of a browser's."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"{ENDPOINT}/{path}", method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.headers


@check
def pages_of_other_sites():
    name = bucket("pages", ACL="public-read")
    refused("NoSuchCORSConfiguration", MAIN.get_bucket_cors, Bucket=name)
    rules = [
        {
            "AllowedMethods": ["GET", "PUT"],
            "AllowedOrigins": ["https://*.example.com"],
            "AllowedHeaders": ["x-amz-*"],
            "ExposeHeaders": ["ETag"],
            "MaxAgeSeconds": 60,
        },
        {"AllowedMethods": ["HEAD"], "AllowedOrigins": ["*"]},
    ]
    MAIN.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": rules})
    assert MAIN.get_bucket_cors(Bucket=name)["CORSRules"] == rules
    home = "https://www.example.com"
    wish = {"Origin": home, "Access_Control_Request_Method": "PUT", "Access_Control_Request_Headers": "X-Amz-Date"}
    status, headers = ask("OPTIONS", f"{name}/a", **wish)
    assert status == 200 and headers["access-control-allow-origin"] == home, (status, headers)
    assert headers["access-control-allow-methods"] == "PUT" and headers["access-control-max-age"] == "60"
    assert headers["access-control-allow-headers"] == "x-amz-date" and "Origin" in headers["vary"]
    for wrong in [
        {"Origin": "https://example.org"},
        {"Access_Control_Request_Method": "DELETE"},
        {"Access_Control_Request_Headers": "authorization"},
    ]:
        status, headers = ask("OPTIONS", f"{name}/a", **(wish | wrong))
        assert status == 403 and headers["access-control-allow-origin"] is None, (wrong, status)
    assert ask("OPTIONS", f"{name}/a", Origin=home)[0] == 400
    assert ask("OPTIONS", "no-such-bucket/a", **wish)[0] == 403
    status, headers = ask("GET", name, Origin=home)
    assert status == 200 and headers["access-control-expose-headers"] == "ETag"
    status, headers = ask("GET", f"{name}/a", Origin=home)
    assert status == 403 and headers["access-control-allow-origin"] == home, "a rule opens nothing"
    assert ask("HEAD", name, Origin="https://elsewhere")[1]["access-control-allow-origin"] == "*"
    assert ask("GET", name)[1]["access-control-allow-origin"] is None
    wrong = [{"AllowedMethods": ["PATCH"], "AllowedOrigins": ["*"]}]
    refused("InvalidRequest", MAIN.put_bucket_cors, Bucket=name, CORSConfiguration={"CORSRules": wrong})
    MAIN.delete_bucket_cors(Bucket=name)
    assert ask("GET", name, Origin=home)[1]["access-control-allow-origin"] is None


run()
