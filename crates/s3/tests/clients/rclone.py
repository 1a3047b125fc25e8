"""rclone against the S3 front."""

import os
import pathlib
import random
import shutil
import subprocess

from check import ENDPOINT, KEY_ID, SECRET, check, run

CONFIG = f"""[fh]
type = s3
provider = Other
endpoint = {ENDPOINT}
region = freehold
access_key_id = {KEY_ID}
secret_access_key = {SECRET}
"""
pathlib.Path("rclone.conf").write_text(CONFIG)


def rclone(*words, fails=False):
    done = subprocess.run(
        ["rclone", "--config", "rclone.conf", "--retries", "1", *words], capture_output=True, text=True, timeout=300
    )
    assert (done.returncode != 0) == fails, (words, done.stdout, done.stderr)
    return done.stdout + done.stderr


def tree(root):
    root = pathlib.Path(root)
    names = ["a b", "ü", "plus+", "per%cent", "#hash", "quote'", "deep/er/st", "日本"]
    for number in range(200):
        path = root / names[number % len(names)] / f"f{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.randbytes(number * 37))
    (root / "large").write_bytes(random.randbytes(20 << 20))
    (root / "empty").write_bytes(b"")


@check
def copy_check_sync():
    tree("here")
    rclone("mkdir", "fh:sync")
    rclone("copy", "here", "fh:sync/x", "--s3-upload-cutoff", "6M", "--s3-chunk-size", "5M", "--s3-upload-concurrency", "4")
    said = rclone("check", "here", "fh:sync/x")
    assert "0 differences found" in said and "202 matching files" in said, said
    assert "hashes could not be checked" not in said or "1 hashes could not be checked" in said, said
    rclone("check", "--download", "here", "fh:sync/x")
    rclone("copy", "fh:sync/x", "back")
    rclone("check", "here", "back")
    assert rclone("copy", "here", "fh:sync/x", "--dry-run", "-v").count("Skipped copy") == 0
    shutil.rmtree("here/ü")
    pathlib.Path("here/new").write_bytes(b"new")
    pathlib.Path("here/empty").write_bytes(b"no longer")
    rclone("sync", "here", "fh:sync/x")
    assert "0 differences found" in rclone("check", "here", "fh:sync/x")
    assert rclone("lsf", "-R", "--files-only", "fh:sync/x").count("\n") == 178
    rclone("moveto", "fh:sync/x/new", "fh:sync/y/new")
    assert rclone("cat", "fh:sync/y/new") == "new"
    rclone("purge", "fh:sync/x")
    rclone("purge", "fh:sync")
    assert "sync" not in rclone("lsd", "fh:")


@check
def times_are_kept():
    pathlib.Path("timed").mkdir()
    path = pathlib.Path("timed/f")
    path.write_bytes(b"x")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    rclone("copy", "timed", "fh:timed")
    rclone("copy", "fh:timed", "timed-back")
    assert pathlib.Path("timed-back/f").stat().st_mtime == 1_000_000_000
    rclone("touch", "fh:timed/f", "--timestamp", "2020-01-01T00:00:00")
    assert "2020-01-01" in rclone("lsl", "fh:timed")


@check
def streaming_and_links():
    import urllib.request

    rclone("mkdir", "fh:stream")
    done = subprocess.run(
        ["rclone", "--config", "rclone.conf", "rcat", "fh:stream/k"], input=b"r" * 300_000, capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    url = rclone("link", "--expire", "1h", "fh:stream/k").strip()
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.read() == b"r" * 300_000


@check
def wrong_secret():
    pathlib.Path("wrong.conf").write_text(CONFIG.replace(SECRET, "x" * 40))
    done = subprocess.run(
        ["rclone", "--config", "wrong.conf", "--retries", "1", "lsd", "fh:"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0 and "SignatureDoesNotMatch" in done.stderr, done.stderr


run()
