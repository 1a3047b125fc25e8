"""Asks to delete objects in a list that is cut off: malformed.py BUCKET LIST"""

import sys

import boto3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session

bucket, body = sys.argv[1:]
client = boto3.client("s3")
request = AWSRequest("POST", f"{client.meta.endpoint_url}/{bucket}?delete", {"Content-MD5": "0"}, body.encode())
S3SigV4Auth(boto3.Session().get_credentials(), "s3", client.meta.region_name).add_auth(request)
answer = URLLib3Session().send(request.prepare())
assert answer.status_code == 400, (answer.status_code, answer.text)
