"""Versions, tags, locks and lifecycle rules, by boto3."""

from datetime import datetime, timedelta, timezone

import boto3
from botocore.config import Config

from check import ENDPOINT, KEY_ID, SECRET, check, refused, run

S3 = boto3.client(
    "s3",
    endpoint_url=ENDPOINT,
    region_name="freehold",
    aws_access_key_id=KEY_ID,
    aws_secret_access_key=SECRET,
    config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
)
KEPT, PLAIN, LOCKED = "kept", "plain", "locked"
LATER = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=30)


def put(bucket, key, body, **more):
    return S3.put_object(Bucket=bucket, Key=key, Body=body, **more)


def read(bucket, key, **more):
    return S3.get_object(Bucket=bucket, Key=key, **more)["Body"].read()


def version_ids(bucket, **more):
    listing = S3.list_object_versions(Bucket=bucket, **more)
    return [v["VersionId"] for v in listing.get("Versions", [])]


@check
def an_object_without_versions_has_one_called_null():
    S3.create_bucket(Bucket=PLAIN)
    assert "VersionId" not in put(PLAIN, "k", b"1")
    put(PLAIN, "k", b"2")
    [only] = S3.list_object_versions(Bucket=PLAIN)["Versions"]
    assert (only["VersionId"], only["IsLatest"], only["Size"]) == ("null", True, 1), only
    assert read(PLAIN, "k", VersionId="null") == b"2"
    assert "VersionId" not in S3.head_object(Bucket=PLAIN, Key="k")
    S3.delete_object(Bucket=PLAIN, Key="k", VersionId="null")
    refused("NoSuchKey", S3.get_object, Bucket=PLAIN, Key="k")
    assert "DeleteMarkers" not in S3.list_object_versions(Bucket=PLAIN)


@check
def versions_are_kept_listed_and_removed():
    S3.create_bucket(Bucket=KEPT)
    put(KEPT, "k", b"null")
    for wrong in ({"Status": "Enabled", "MFADelete": "Enabled"}, {"Status": "On"}):
        refused(("NotImplemented", "MalformedXML"), S3.put_bucket_versioning, Bucket=KEPT, VersioningConfiguration=wrong)
    S3.put_bucket_versioning(Bucket=KEPT, VersioningConfiguration={"Status": "Enabled"})
    assert S3.get_bucket_versioning(Bucket=KEPT)["Status"] == "Enabled"
    one, two = (put(KEPT, "k", body)["VersionId"] for body in (b"one", b"two"))
    assert version_ids(KEPT) == [two, one, "null"]
    assert [read(KEPT, "k", VersionId=v) for v in (one, two, "null")] == [b"one", b"two", b"null"]
    head = S3.head_object(Bucket=KEPT, Key="k", VersionId=one)
    assert (head["VersionId"], head["ContentLength"]) == (one, 3)
    gone = S3.delete_object(Bucket=KEPT, Key="k")
    assert gone["DeleteMarker"] is True
    error = refused("NoSuchKey", S3.get_object, Bucket=KEPT, Key="k")
    assert error.response["ResponseMetadata"]["HTTPHeaders"]["x-amz-delete-marker"] == "true"
    error = refused("MethodNotAllowed", S3.get_object, Bucket=KEPT, Key="k", VersionId=gone["VersionId"])
    headers = error.response["ResponseMetadata"]["HTTPHeaders"]
    assert (headers["allow"], headers["x-amz-delete-marker"]) == ("DELETE", "true"), headers
    assert "Contents" not in S3.list_objects_v2(Bucket=KEPT)
    [marker] = S3.list_object_versions(Bucket=KEPT)["DeleteMarkers"]
    assert (marker["VersionId"], marker["IsLatest"]) == (gone["VersionId"], True)
    refused("BucketNotEmpty", S3.delete_bucket, Bucket=KEPT)
    copied = S3.copy_object(Bucket=KEPT, Key="c", CopySource={"Bucket": KEPT, "Key": "k", "VersionId": one})
    assert copied["CopySourceVersionId"] == one and read(KEPT, "c") == b"one"
    done = S3.delete_objects(Bucket=KEPT, Delete={"Objects": [
        {"Key": "k", "VersionId": gone["VersionId"]}, {"Key": "k", "VersionId": two}, {"Key": "c"},
    ]})["Deleted"]
    assert [("DeleteMarker" in d, d.get("VersionId")) for d in done] == [(True, gone["VersionId"]), (False, two), (True, None)], done
    assert read(KEPT, "k") == b"one"
    refused("NoSuchVersion", S3.get_object, Bucket=KEPT, Key="k", VersionId=two)


@check
def versions_are_listed_in_pages():
    for n in range(3):
        for key in ("p/a", "p/b", "p/c/d", "p/e f"):
            put(KEPT, key, bytes([n]))
    whole = version_ids(KEPT, Prefix="p/")
    assert len(whole) == 12
    for size in (1, 2, 5):
        pages = S3.get_paginator("list_object_versions").paginate(
            Bucket=KEPT, Prefix="p/", PaginationConfig={"PageSize": size})
        assert [v["VersionId"] for page in pages for v in page["Versions"]] == whole, size
    folded = S3.list_object_versions(Bucket=KEPT, Prefix="p/", Delimiter="/")
    assert ([p["Prefix"] for p in folded["CommonPrefixes"]], len(folded["Versions"])) == (["p/c/"], 9)
    assert folded["Versions"][-1]["Key"] == "p/e f"
    refused("InvalidArgument", S3.list_object_versions, Bucket=KEPT, VersionIdMarker=whole[0])


@check
def when_versioning_is_suspended_there_is_one_null_version():
    S3.put_bucket_versioning(Bucket=KEPT, VersioningConfiguration={"Status": "Suspended"})
    assert "VersionId" not in put(KEPT, "s", b"1")
    put(KEPT, "s", b"2")
    assert version_ids(KEPT, Prefix="s") == ["null"]
    assert S3.delete_object(Bucket=KEPT, Key="s")["VersionId"] == "null"
    assert version_ids(KEPT, Prefix="s") == []
    S3.put_bucket_versioning(Bucket=KEPT, VersioningConfiguration={"Status": "Enabled"})
    upload = S3.create_multipart_upload(Bucket=KEPT, Key="s")["UploadId"]
    part = S3.upload_part(Bucket=KEPT, Key="s", UploadId=upload, PartNumber=1, Body=b"x")
    done = S3.complete_multipart_upload(
        Bucket=KEPT, Key="s", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    assert version_ids(KEPT, Prefix="s") == [done["VersionId"]]


@check
def a_deletion_can_have_conditions():
    first = put(KEPT, "if", b"12")
    refused("PreconditionFailed", S3.delete_object, Bucket=KEPT, Key="if", IfMatch='"bad"')
    refused("PreconditionFailed", S3.delete_object, Bucket=KEPT, Key="if", IfMatchSize=3)
    [error] = S3.delete_objects(Bucket=KEPT, Delete={"Objects": [{"Key": "if", "Size": 3}]})["Errors"]
    assert error["Code"] == "PreconditionFailed"
    S3.delete_object(Bucket=KEPT, Key="if", VersionId=first["VersionId"], IfMatch=first["ETag"], IfMatchSize=2)
    S3.delete_object(Bucket=KEPT, Key="if", IfMatch=first["ETag"])
    assert S3.list_object_versions(Bucket=KEPT, Prefix="if").get("DeleteMarkers") is None


@check
def objects_and_buckets_have_tags():
    first = put(KEPT, "t", b"1", Tagging="b=2&a=x%20y")["VersionId"]
    tags = lambda **more: {t["Key"]: t["Value"] for t in S3.get_object_tagging(Bucket=KEPT, Key="t", **more)["TagSet"]}
    assert tags() == {"a": "x y", "b": "2"}
    assert S3.get_object(Bucket=KEPT, Key="t")["TagCount"] == 2
    second = put(KEPT, "t", b"2")["VersionId"]
    assert tags() == {} and tags(VersionId=first) == {"a": "x y", "b": "2"}
    said = S3.put_object_tagging(Bucket=KEPT, Key="t", Tagging={"TagSet": [{"Key": "c", "Value": "ü&="}]})
    assert said["VersionId"] == second and tags() == {"c": "ü&="}
    S3.copy_object(Bucket=KEPT, Key="t2", CopySource={"Bucket": KEPT, "Key": "t"})
    assert S3.get_object_tagging(Bucket=KEPT, Key="t2")["TagSet"] == [{"Key": "c", "Value": "ü&="}]
    S3.copy_object(Bucket=KEPT, Key="t2", CopySource={"Bucket": KEPT, "Key": "t"}, TaggingDirective="REPLACE", Tagging="d=1")
    assert S3.get_object_tagging(Bucket=KEPT, Key="t2")["TagSet"] == [{"Key": "d", "Value": "1"}]
    S3.delete_object_tagging(Bucket=KEPT, Key="t")
    assert tags() == {}
    many = [{"Key": str(n), "Value": ""} for n in range(11)]
    refused("InvalidTag", S3.put_object_tagging, Bucket=KEPT, Key="t", Tagging={"TagSet": many})
    refused("InvalidTag", put, KEPT, "t", b"", Tagging="a=1&a=2")
    refused("NoSuchKey", S3.get_object_tagging, Bucket=KEPT, Key="no such")
    refused("NoSuchTagSet", S3.get_bucket_tagging, Bucket=KEPT)
    S3.put_bucket_tagging(Bucket=KEPT, Tagging={"TagSet": many})
    assert len(S3.get_bucket_tagging(Bucket=KEPT)["TagSet"]) == 11
    S3.delete_bucket_tagging(Bucket=KEPT)
    refused("NoSuchTagSet", S3.get_bucket_tagging, Bucket=KEPT)


@check
def what_is_locked_stays():
    S3.create_bucket(Bucket=LOCKED, ObjectLockEnabledForBucket=True)
    assert S3.get_bucket_versioning(Bucket=LOCKED)["Status"] == "Enabled"
    refused("InvalidBucketState", S3.put_bucket_versioning, Bucket=LOCKED, VersioningConfiguration={"Status": "Suspended"})
    rule = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 2}}}
    S3.put_object_lock_configuration(Bucket=LOCKED, ObjectLockConfiguration=rule)
    assert S3.get_object_lock_configuration(Bucket=LOCKED)["ObjectLockConfiguration"] == rule
    version = put(LOCKED, "k", b"x")["VersionId"]
    head = S3.head_object(Bucket=LOCKED, Key="k")
    left = head["ObjectLockRetainUntilDate"] - datetime.now(timezone.utc)
    assert head["ObjectLockMode"] == "GOVERNANCE" and timedelta(days=1) < left <= timedelta(days=2), head
    remove = lambda **more: S3.delete_object(Bucket=LOCKED, Key="k", VersionId=version, **more)
    refused("AccessDenied", remove)
    [error] = S3.delete_objects(Bucket=LOCKED, Delete={"Objects": [{"Key": "k", "VersionId": version}]})["Errors"]
    assert (error["Code"], error["VersionId"]) == ("AccessDenied", version)
    retain = lambda mode, until, **more: S3.put_object_retention(
        Bucket=LOCKED, Key="k", Retention={"Mode": mode, "RetainUntilDate": until}, **more)
    retain("GOVERNANCE", LATER)
    assert S3.get_object_retention(Bucket=LOCKED, Key="k")["Retention"]["RetainUntilDate"] == LATER
    refused("AccessDenied", retain, "GOVERNANCE", LATER - timedelta(days=1))
    S3.put_object_legal_hold(Bucket=LOCKED, Key="k", LegalHold={"Status": "ON"})
    refused("AccessDenied", remove, BypassGovernanceRetention=True)
    S3.put_object_legal_hold(Bucket=LOCKED, Key="k", LegalHold={"Status": "OFF"})
    assert S3.get_object_legal_hold(Bucket=LOCKED, Key="k")["LegalHold"]["Status"] == "OFF"
    remove(BypassGovernanceRetention=True)
    kept = put(LOCKED, "c", b"x", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=LATER)["VersionId"]
    refused("AccessDenied", S3.delete_object, Bucket=LOCKED, Key="c", VersionId=kept, BypassGovernanceRetention=True)
    refused("AccessDenied", S3.put_object_retention, Bucket=LOCKED, Key="c", BypassGovernanceRetention=True,
            Retention={"Mode": "COMPLIANCE", "RetainUntilDate": LATER - timedelta(days=1)})
    refused("InvalidArgument", put, LOCKED, "d", b"", ObjectLockMode="COMPLIANCE")
    refused("InvalidRequest", put, KEPT, "d", b"", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=LATER)
    refused("InvalidRequest", S3.get_object_retention, Bucket=KEPT, Key="t")
    refused("ObjectLockConfigurationNotFoundError", S3.get_object_lock_configuration, Bucket=KEPT)
    refused("InvalidBucketState", S3.put_object_lock_configuration, Bucket=PLAIN, ObjectLockConfiguration=rule)


@check
def rules_come_back_as_they_were_given():
    rules = [
        {"ID": "old", "Status": "Enabled", "Prefix": "tmp/", "Expiration": {"Days": 1}},
        {"ID": "all", "Status": "Disabled", "Filter": {"Prefix": ""}, "Expiration": {"ExpiredObjectDeleteMarker": True},
         "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3},
         "NoncurrentVersionExpiration": {"NoncurrentDays": 4, "NewerNoncurrentVersions": 2}},
        {"ID": "big", "Status": "Enabled", "Filter": {"And": {
            "Prefix": "a", "ObjectSizeGreaterThan": 5, "Tags": [{"Key": "k", "Value": "v"}]}},
         "Expiration": {"Date": datetime(2030, 1, 1, tzinfo=timezone.utc)}},
    ]
    S3.put_bucket_lifecycle_configuration(Bucket=KEPT, LifecycleConfiguration={"Rules": rules})
    assert S3.get_bucket_lifecycle_configuration(Bucket=KEPT)["Rules"] == rules
    assert 'rule-id="old"' in put(KEPT, "tmp/x", b"x")["Expiration"]
    assert "Expiration" not in put(KEPT, "x", b"x")
    assert 'rule-id="big"' in S3.head_object(
        Bucket=KEPT, Key=put(KEPT, "ab", b"123456", Tagging="k=v") and "ab")["Expiration"]
    one = lambda **more: S3.put_bucket_lifecycle_configuration(
        Bucket=KEPT, LifecycleConfiguration={"Rules": [{"Status": "Enabled", "Filter": {}, **more}]})
    refused("InvalidArgument", one, Expiration={"Days": 0})
    refused("InvalidArgument", one)
    refused("MalformedXML", one, Expiration={"Days": 1}, Prefix="both")
    refused("NotImplemented", one, Transitions=[{"Days": 1, "StorageClass": "GLACIER"}])
    assert len(S3.get_bucket_lifecycle_configuration(Bucket=KEPT)["Rules"]) == 3
    S3.delete_bucket_lifecycle(Bucket=KEPT)
    refused("NoSuchLifecycleConfiguration", S3.get_bucket_lifecycle_configuration, Bucket=KEPT)


run()
