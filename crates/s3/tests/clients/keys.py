"""Access keys against the S3 front: what each may do at most."""

from check import check, refused, run
from users import ALT, ENDED, NOBODY, OWNER, READ


def keys_of(answer):
    return [line["Key"] for line in answer.get("Contents", [])]


@check
def the_owner_may_do_everything():
    for bucket in ["shared", "other"]:
        OWNER.create_bucket(Bucket=bucket)
        for key in ["in/a", "out/b"]:
            OWNER.put_object(Bucket=bucket, Key=key, Body=b"x")


@check
def a_key_reads_what_it_is_for():
    assert READ.get_object(Bucket="shared", Key="in/a")["Body"].read() == b"x"
    assert READ.head_object(Bucket="shared", Key="in/a")["ContentLength"] == 1
    assert keys_of(READ.list_objects_v2(Bucket="shared", Prefix="in/")) == ["in/a"]
    assert keys_of(READ.list_objects(Bucket="shared", Prefix="in/a")) == ["in/a"]
    assert [b["Name"] for b in READ.list_buckets()["Buckets"]] == ["shared"]
    assert READ.get_bucket_location(Bucket="shared")["LocationConstraint"] == "freehold"


@check
def and_nothing_else():
    for call, more in [
        (READ.get_object, {"Key": "out/b"}),
        (READ.put_object, {"Key": "in/new", "Body": b""}),
        (READ.delete_object, {"Key": "in/a"}),
        (READ.list_objects_v2, {}),
        (READ.list_objects_v2, {"Prefix": "out/"}),
        (READ.list_objects_v2, {"Prefix": "i"}),
        (READ.list_multipart_uploads, {}),
        (READ.create_multipart_upload, {"Key": "in/new"}),
        (READ.delete_bucket, {}),
        (READ.get_bucket_policy, {}),
        (READ.put_bucket_versioning, {"VersioningConfiguration": {"Status": "Enabled"}}),
    ]:
        error = refused("AccessDenied", call, Bucket="shared", **more)
        assert "this access key" in str(error), error
    for bucket in ["other", "no-such-bucket"]:
        refused("AccessDenied", READ.list_objects_v2, Bucket=bucket, Prefix="in/")
    refused("AccessDenied", READ.create_bucket, Bucket="new-bucket")
    refused("403", READ.head_bucket, Bucket="other")


@check
def the_source_of_a_copy_is_asked_too():
    # The target is the asker's own, so that the source alone decides.
    refused("AccessDenied", READ.copy_object, Bucket="shared", Key="in/copy", CopySource="other/in/a")
    ALT.create_bucket(Bucket="of-alt")
    refused("AccessDenied", ALT.copy_object, Bucket="of-alt", Key="copy", CopySource="shared/in/a")
    refused("AccessDenied", ALT.copy_object, Bucket="of-alt", Key="copy", CopySource="shared/in/a?versionId=null")


@check
def each_key_of_many_to_delete_is_asked():
    answer = READ.delete_objects(Bucket="shared", Delete={"Objects": [{"Key": "in/a"}, {"Key": "out/b"}]})
    assert {e["Key"]: e["Code"] for e in answer["Errors"]} == {"in/a": "AccessDenied", "out/b": "AccessDenied"}
    assert "Deleted" not in answer
    refused("MalformedXML", OWNER.delete_objects, Bucket="shared", Delete={"Objects": []})
    assert keys_of(OWNER.list_objects_v2(Bucket="shared")) == ["in/a", "out/b"]


@check
def whether_a_key_is_there_is_for_those_who_may_list():
    refused("NoSuchKey", READ.get_object, Bucket="shared", Key="in/none")
    refused("AccessDenied", READ.get_object, Bucket="shared", Key="out/none")
    refused("AccessDenied", NOBODY.get_object, Bucket="shared", Key="in/none")


@check
def what_is_somebody_elses_is_not_shown():
    refused("AccessDenied", ALT.list_objects_v2, Bucket="shared")
    refused("AccessDenied", ALT.get_object, Bucket="shared", Key="in/a")
    refused("NoSuchBucket", ALT.list_objects_v2, Bucket="no-such-bucket")
    assert "shared" not in [b["Name"] for b in ALT.list_buckets()["Buckets"]]


@check
def strangers_get_nothing_without_a_word():
    for call, more in [
        (NOBODY.list_buckets, {}),
        (NOBODY.create_bucket, {"Bucket": "of-nobody"}),
        (NOBODY.list_objects_v2, {"Bucket": "shared"}),
        (NOBODY.get_object, {"Bucket": "shared", "Key": "in/a"}),
        (NOBODY.put_object, {"Bucket": "shared", "Key": "in/a", "Body": b""}),
    ]:
        error = refused("AccessDenied", call, **more)
        assert "not signed" in str(error), error
    answer = NOBODY.delete_objects(Bucket="shared", Delete={"Objects": [{"Key": "in/a"}]})
    assert answer["Errors"][0]["Code"] == "AccessDenied"


@check
def a_key_ends():
    refused(("AccessDenied", "InvalidAccessKeyId"), ENDED.list_buckets)
    refused(("AccessDenied", "InvalidAccessKeyId"), ENDED.get_object, Bucket="shared", Key="in/a")


run()
