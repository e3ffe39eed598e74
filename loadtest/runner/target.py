"""The target: whose it is, and single requests to it."""

import gzip
import http.client
import ipaddress
import json
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 30


class TargetError(Exception):
    """A target that is no target, or is not ours."""


class Unreachable(Exception):
    """No answer, or another one than is needed to begin."""


@dataclass(frozen=True)
class Target:
    """Where requests go."""

    url: str
    is_https: bool
    host: str
    port: int
    base: str

    def connect(self):
        kind = http.client.HTTPSConnection if self.is_https else http.client.HTTPConnection
        return kind(self.host, self.port, timeout=TIMEOUT_SECONDS)

    @property
    def authority(self):
        return urlsplit(self.url).netloc


def parse(text, is_owned):
    """The target, if load may be sent there: to the loopback interface, or to what the user says is theirs."""
    try:
        parts = urlsplit(text)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as wrong:
        raise TargetError(f"{text!r}: {wrong}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise TargetError(f"{text!r} is not a URL such as http://127.0.0.1:8080")
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError as wrong:
        raise TargetError(f"{parts.hostname}: {wrong.strerror or wrong}") from None
    remote = sorted({entry[4][0] for entry in found if not is_loopback(entry[4][0])})
    if remote and not is_owned:
        address = "" if remote == [parts.hostname] else f" ({', '.join(remote)})"
        raise TargetError(
            f"{parts.hostname}{address} is not this machine. Load is sent only to what is one's own: if it is yours, say "
            "--i-own-this-target"
        )
    return Target(text.rstrip("/"), parts.scheme == "https", parts.hostname, port, parts.path.rstrip("/"))


def is_loopback(address):
    one = ipaddress.ip_address(address.partition("%")[0])
    return (getattr(one, "ipv4_mapped", None) or one).is_loopback


@dataclass(frozen=True)
class Answer:
    """A whole answer; names of header fields are in lower case."""

    status: int
    headers: dict
    body: bytes


def ask(connection, target, path, method="GET", headers=None):
    """One request on a connection that may be kept. A redirection is an answer, and is never followed."""
    try:
        connection.request(method, target.base + path, headers=headers or {})
        answer = connection.getresponse()
        fields = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, fields, answer.read())
    except (OSError, http.client.HTTPException) as wrong:
        connection.close()
        raise Unreachable(f"{method} {target.url}{path}: {wrong or type(wrong).__name__}") from None


def ask_once(target, path, method="GET", headers=None):
    connection = target.connect()
    try:
        return ask(connection, target, path, method, headers)
    finally:
        connection.close()


def ids(target, id_field):
    """The ids of all items, spelled as in the data."""
    answer = ask_once(target, "/items", headers={"Accept-Encoding": "gzip"})
    if answer.status != 200:
        raise Unreachable(f"GET {target.url}/items answered {answer.status}: there are no ids to ask for")
    body = gzip.decompress(answer.body) if answer.headers.get("content-encoding") == "gzip" else answer.body
    try:
        found = [item[id_field] for item in json.loads(body, parse_int=str, parse_float=str)]
    except (ValueError, TypeError, KeyError) as wrong:
        raise Unreachable(
            f"GET {target.url}/items: no array of items with a member {id_field!r} ({wrong}); --id-field names another"
        ) from None
    if not found:
        raise Unreachable(f"GET {target.url}/items: no item to ask for")
    return found
