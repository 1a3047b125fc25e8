"""Clients of several principals, for the checks of who may do what."""

import boto3
from botocore import UNSIGNED
from botocore.config import Config

from check import ENDPOINT, KEY_ID, SECRET


def client(suffix=""):
    """The realm owner's client, or (by what is behind the id of its key) somebody else's."""
    config = Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"})
    return boto3.client(
        "s3",
        endpoint_url=ENDPOINT,
        region_name="freehold",
        aws_access_key_id=KEY_ID + suffix,
        aws_secret_access_key=SECRET,
        config=config,
    )


def anonymous():
    config = Config(signature_version=UNSIGNED, retries={"max_attempts": 1}, s3={"addressing_style": "path"})
    return boto3.client("s3", endpoint_url=ENDPOINT, region_name="freehold", config=config)


OWNER = client()
ALT = client("ALT")
READ = client("READ")
ENDED = client("ENDED")
NOBODY = anonymous()
# As policies and lists name it: a service of the realm owner, by its name behind a slash.
ALT_ID = "freehold/alt"
