"""What is served: generated data, and the answers of Janus to it, kept as files for the peers."""

import gzip
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .machine import ROOT, TARGET, Failure
from .wire import PLAIN, Request, get

GENERATE = ROOT / "target" / "release" / "examples" / "generate"
SAMPLE = b'[{"id":1,"name":"Item One"},{"id":2,"name":"Item Two"}]'
CODINGS = ("br", "gzip", "identity")

# Header fields of the connection, and one that changes each second.
NOT_OF_THE_DATA = ("date", "connection", "keep-alive")


@dataclass(frozen=True)
class Site:
    """One collection, and how it is served by Janus and by the others."""

    name: str
    data: Path | None = None
    encodings: str = ""
    # How many items are asked for by id, from 0 on; the peers then serve items and no collection.
    ids: int = 0

    @property
    def directory(self):
        return TARGET / "sites" / self.name

    def janus_arguments(self):
        return [*(["--data", self.data] if self.data else []), "--encodings", self.encodings]

    def peer_arguments(self):
        return [self.directory, *([self.data] if self.ids else [])]

    def requests(self, headers):
        """Requests whose answers stand for all: of every server they are checked before it is measured."""
        if not self.ids:
            return [Request("/items", headers)]
        return [Request(f"/items/{number}", headers) for number in (0, self.ids // 3, self.ids - 1)]

    def expected(self, request):
        """The body that must be served, known without asking Janus."""
        if not self.data:
            return SAMPLE
        lines = self.data.read_bytes().splitlines()
        return lines[int(request.path.rpartition("/")[2])] if self.ids else b"[" + b",".join(lines) + b"]"

    def check(self, request, answer):
        """Fails unless this is the data."""
        coding = answer.headers.get("content-encoding", "identity")
        # Python cannot decode Brotli; Janus's own tests do.
        body = gzip.decompress(answer.body) if coding == "gzip" else answer.body
        if answer.status != 200 or (coding != "br" and body != self.expected(request)):
            raise Failure(f"janus does not serve the data of {self.name} for {request.path} in coding {coding}")

    def keep_answers(self, port):
        """Writes the collection in each coding down for the peers: header lines and body."""
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        for coding in () if self.ids else CODINGS:
            answer = get(port, Request("/items", (*PLAIN, ("Accept-Encoding", coding))))
            if answer.headers.get("content-encoding", "identity") != coding:
                continue
            fields = [field for field in answer.headers.items() if field[0] not in NOT_OF_THE_DATA]
            head = "".join(f"{name}: {value}\n" for name, value in fields)
            (self.directory / f"{coding}.head").write_text(head)
            (self.directory / f"{coding}.body").write_bytes(answer.body)


def generated(count):
    """A file of that many generated items, one a line, made once."""
    path = TARGET / f"items-{count}.ndjson"
    if not path.exists():
        part = path.with_suffix(".part")
        with part.open("wb") as out:
            subprocess.run([GENERATE, str(count)], stdout=out, check=True)
        part.rename(path)
    return path


def sized(length):
    """Items whose collection is at most that many bytes long, and just under it."""
    path = TARGET / f"items-of-{length}-bytes.ndjson"
    if not path.exists():
        kept, total = [], 1
        for line in generated(length // 100).read_bytes().splitlines():
            total += len(line) + 1
            if total > length:
                break
            kept.append(line)
        path.write_bytes(b"\n".join(kept) + b"\n")
    return path
