"""What the client checks share: the server's address and keys, and a runner that reports every failure.

    python3 boto.py ENDPOINT ACCESS_KEY_ID SECRET [name of one check]
"""

import sys
import time
import traceback

ENDPOINT, KEY_ID, SECRET = sys.argv[1:4]
ONLY = sys.argv[4] if len(sys.argv) > 4 else None
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def run():
    failed = 0
    for function in CHECKS:
        if ONLY and function.__name__ != ONLY:
            continue
        started = time.monotonic()
        try:
            function()
            print(f"ok      {function.__name__} ({time.monotonic() - started:.1f} s)", flush=True)
        except Exception:  # every failure is shown
            failed += 1
            print(f"FAILED  {function.__name__}\n{traceback.format_exc()}", flush=True)
    print(f"{len(CHECKS)} checks, {failed} failed", flush=True)
    sys.exit(1 if failed else 0)


def refused(code, call, *args, **kwargs):
    """The call must be refused with this S3 code (or one of these)."""
    from botocore.exceptions import ClientError

    codes = code if isinstance(code, tuple) else (code,)
    try:
        call(*args, **kwargs)
    except ClientError as error:
        got = error.response["Error"]["Code"]
        assert got in codes, f"refused with {got}: {error}, expected {codes}"
        return error
    raise AssertionError(f"accepted, expected {codes}")
