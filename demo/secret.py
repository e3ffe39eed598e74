"""One member of a secret in Secrets Manager. Values go by standard input and output, never by arguments.

Use: secret.py get NAME MEMBER
     secret.py put NAME MEMBER < VALUE   (a new value; the secret is made if there is none)

It needs botocore, and AWS_ENDPOINT_URL where AWS is an emulator.
"""

import json
import sys

import botocore.session

SECRETS = botocore.session.get_session().create_client("secretsmanager")


def get(name, member):
    print(json.loads(SECRETS.get_secret_value(SecretId=name)["SecretString"])[member])


def put(name, member):
    text = json.dumps({member: sys.stdin.read().strip()})
    try:
        SECRETS.put_secret_value(SecretId=name, SecretString=text)
    except SECRETS.exceptions.ResourceNotFoundException:
        SECRETS.create_secret(Name=name, SecretString=text)


if len(sys.argv) != 4 or sys.argv[1] not in ("get", "put"):
    raise SystemExit(__doc__)
{"get": get, "put": put}[sys.argv[1]](*sys.argv[2:])
