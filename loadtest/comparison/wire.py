"""HTTP/1.1 by hand: requests as bytes, answers in parts. The generators send the same bytes."""

import socket
from dataclasses import dataclass

HOST = "127.0.0.1"

# What a current Chrome sends with fetch().
BROWSER = (
    ("Host", "localhost"),
    ("Connection", "keep-alive"),
    ("sec-ch-ua-platform", '"Linux"'),
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"),
    ("sec-ch-ua", '"Chromium";v="142", "Google Chrome";v="142", "Not_A Brand";v="99"'),
    ("sec-ch-ua-mobile", "?0"),
    ("Accept", "*/*"),
    ("Sec-Fetch-Site", "same-origin"),
    ("Sec-Fetch-Mode", "cors"),
    ("Sec-Fetch-Dest", "empty"),
    ("Referer", "http://localhost/"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Accept-Language", "en-GB,en;q=0.9"),
)
PLAIN = (("Host", "localhost"),)


def browser(**changed):
    """A browser's header fields, some of them with other values: `accept_encoding="br"`."""
    values = {name.replace("_", "-"): value for name, value in changed.items()}
    return tuple((name, values.get(name.lower(), value)) for name, value in BROWSER)


@dataclass(frozen=True)
class Request:
    """A GET."""

    path: str
    headers: tuple = PLAIN

    def numbered(self, number):
        """The same with another number where one changes with each request."""
        return Request(self.path, tuple((name, value.replace("@" * 16, f"{number:016x}")) for name, value in self.headers))

    def closing(self):
        """The same, as the last of its connection."""
        kept = tuple(field for field in self.headers if field[0] != "Connection")
        return Request(self.path, (("Connection", "close"), *kept))

    def head(self):
        lines = [f"GET {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in self.headers), "", ""]
        return "\r\n".join(lines).encode()


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    wire: bytes
    status: int
    headers: dict
    body: bytes


def connect(port):
    connection = socket.create_connection((HOST, port), timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def receive(connection):
    """Reads one answer whose length is told."""
    data = bytearray()
    while (end := data.find(b"\r\n\r\n")) < 0:
        data += some(connection)
    head = data[:end].decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:])}
    status = int(head[0].split()[1])
    length = 0 if status == 304 else int(headers.get("content-length", 0))
    while len(data) < end + 4 + length:
        data += some(connection)
    return Answer(bytes(data), status, headers, bytes(data[end + 4 :]))


def some(connection):
    data = connection.recv(1 << 20)
    if not data:
        raise ConnectionError("the server closed the connection within an answer")
    return data


def get(port, request):
    """Asks on a connection of its own."""
    with connect(port) as connection:
        connection.sendall(request.head())
        return receive(connection)
