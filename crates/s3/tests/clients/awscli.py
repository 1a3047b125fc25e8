"""The AWS CLI against the S3 front."""

import filecmp
import json
import os
import pathlib
import subprocess
import time

from check import ENDPOINT, KEY_ID, SECRET, check, run

ENVIRONMENT = {
    **os.environ,
    "AWS_ACCESS_KEY_ID": KEY_ID,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_DEFAULT_REGION": "freehold",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_PAGER": "",
}


def aws(*words, fails=None, **environment):
    done = subprocess.run(
        ["aws", "--endpoint-url", ENDPOINT, *words],
        env=ENVIRONMENT | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if fails is None:
        assert done.returncode == 0, (words, done.stdout, done.stderr)
    else:
        assert done.returncode != 0 and fails in done.stderr, (words, done.returncode, done.stderr)
    return done.stdout


def tree(root):
    root = pathlib.Path(root)
    for number in range(30):
        path = root / f"d{number % 3}" / f"file {number} ü+%.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(number * 1000))
    (root / "large.bin").write_bytes(os.urandom(20 << 20))
    return root


def same(left, right):
    compared = filecmp.dircmp(left, right)
    assert not compared.left_only and not compared.right_only, (compared.left_only, compared.right_only)
    _, different, wrong = filecmp.cmpfiles(left, right, compared.common_files, shallow=False)
    assert not different and not wrong, (different, wrong)
    for name in compared.common_dirs:
        same(os.path.join(left, name), os.path.join(right, name))


@check
def daily_use():
    tree("here")
    aws("s3", "mb", "s3://cli")
    assert "cli" in aws("s3", "ls")
    aws("s3", "cp", "here/large.bin", "s3://cli/large.bin")
    aws("s3", "cp", "s3://cli/large.bin", "back.bin")
    assert filecmp.cmp("here/large.bin", "back.bin", shallow=False)
    aws("s3", "sync", "here", "s3://cli/tree")
    assert aws("s3", "sync", "here", "s3://cli/tree") == ""
    aws("s3", "sync", "s3://cli/tree", "there")
    same("here", "there")
    listing = aws("s3", "ls", "--recursive", "s3://cli/tree/")
    assert listing.count("\n") == 31, listing
    assert "PRE d0/" in aws("s3", "ls", "s3://cli/tree/")
    os.remove("here/d0/file 0 ü+%.bin")
    aws("s3", "sync", "--delete", "here", "s3://cli/tree")
    assert "file 0 " not in aws("s3", "ls", "--recursive", "s3://cli/tree/")
    aws("s3", "mv", "s3://cli/tree/d1/file 1 ü+%.bin", "s3://cli/moved")
    aws("s3", "cp", "s3://cli/large.bin", "s3://cli/large-copy.bin")
    aws("s3", "cp", "s3://cli/large-copy.bin", "copy.bin")
    assert filecmp.cmp("here/large.bin", "copy.bin", shallow=False)
    aws("s3", "rb", "s3://cli", fails="BucketNotEmpty")
    aws("s3", "rm", "--recursive", "s3://cli")
    aws("s3", "rb", "s3://cli")


@check
def an_empty_file_does_not_hold_up_the_next():
    """One connection for all: after an empty file the CLI once hung for 30 s, or missed a part's ETag."""
    pathlib.Path("one-by-one").write_text("[default]\ns3 =\n  max_concurrent_requests = 1\n")
    folder = pathlib.Path("with-empty")
    folder.mkdir()
    for number in range(4):
        (folder / f"{number} empty").write_bytes(b"")
        (folder / f"{number} not").write_bytes(b"x" * 1000)
    (folder / "large").write_bytes(os.urandom(20 << 20))
    aws("s3", "mb", "s3://cli-empty")
    started = time.monotonic()
    aws("s3", "sync", "with-empty", "s3://cli-empty", AWS_CONFIG_FILE="one-by-one")
    assert time.monotonic() - started < 20, "an upload waited for an answer that had come"
    aws("s3", "sync", "s3://cli-empty", "empty-back")
    same("with-empty", "empty-back")


@check
def standard_input_and_output():
    aws("s3", "mb", "s3://cli-pipe")
    done = subprocess.run(
        ["aws", "--endpoint-url", ENDPOINT, "s3", "cp", "-", "s3://cli-pipe/k"],
        env=ENVIRONMENT,
        input=b"from a pipe",
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert aws("s3", "cp", "s3://cli-pipe/k", "-") == "from a pipe"


@check
def the_plain_calls():
    aws("s3api", "create-bucket", "--bucket", "cli-api", "--create-bucket-configuration", "LocationConstraint=freehold")
    pathlib.Path("small").write_bytes(b"small")
    done = json.loads(
        aws("s3api", "put-object", "--bucket", "cli-api", "--key", "k", "--body", "small", "--metadata", "a=b",
            "--if-none-match", "*")
    )
    assert done["ETag"] == '"eb5c1399a871211c7e7ed732d15e3a8b"', done
    aws("s3api", "put-object", "--bucket", "cli-api", "--key", "k", "--body", "small", "--if-none-match", "*",
        fails="PreconditionFailed")
    head = json.loads(aws("s3api", "head-object", "--bucket", "cli-api", "--key", "k"))
    assert head["ContentLength"] == 5 and head["Metadata"] == {"a": "b"}, head
    aws("s3api", "get-object", "--bucket", "cli-api", "--key", "k", "--range", "bytes=1-2", "part")
    assert pathlib.Path("part").read_bytes() == b"ma"
    aws("s3api", "get-object", "--bucket", "cli-api", "--key", "absent", "x", fails="NoSuchKey")
    aws("s3api", "put-bucket-versioning", "--bucket", "cli-api", "--versioning-configuration", "Status=Enabled")
    aws("s3api", "put-object", "--bucket", "cli-api", "--key", "k", "--body", "part")
    versions = json.loads(aws("s3api", "list-object-versions", "--bucket", "cli-api"))["Versions"]
    assert [v["VersionId"] == "null" for v in versions] == [False, True], versions


@check
def presign():
    import urllib.request

    aws("s3", "mb", "s3://cli-link")
    pathlib.Path("linked").write_bytes(b"linked")
    aws("s3", "cp", "linked", "s3://cli-link/k")
    url = aws("s3", "presign", "s3://cli-link/k").strip()
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.read() == b"linked"


run()
