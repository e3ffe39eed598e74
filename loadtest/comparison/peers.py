"""The servers: how each is started on a site, and what it cannot do."""

import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from .machine import ROOT, TARGET, Failure, children, free_port, run, server_core
from .wire import HOST, get

BUILT = ROOT / "target" / "peers" / "release"
JANUS = ROOT / "target" / "release" / "janus"
GO_PEER = ROOT / "target" / "peers" / "go-peer"
NGINX_CONFIGURATION = ROOT / "benches" / "peers" / "nginx.conf"
START_SECONDS_MAX = 60

JANUS_NAMES = ("janus",)
FLOOR_NAMES = ("floor", "floor-again")
FRAMEWORKS = ("actix-web", "axum", "may_minihttp")
NGINX_NAMES = ("nginx-return", "nginx-static")
# In the order in which they take their turns: Janus first, since the others serve what it answered.
ALL = ("janus", "floor", *NGINX_NAMES, *FRAMEWORKS, "go", "floor-again")

# Header fields that a server may leave out, and those whose value is its own.
CONNECTION = ("connection", "keep-alive")
OWN = ("date", "etag")

PROGRAMS = {"actix-web": "actix", "axum": "axum", "may_minihttp": "may"}


@dataclass
class Peers:
    """Those that take part, and programs that the user brought along."""

    names: list
    extra: dict
    # Of Janus; the others always have one.
    workers: int = 1

    def command(self, name, port, h2_port, site, reference, last=None):
        """The command line of one server; `last` is what the floor says before it closes, where it closes."""
        address = f"{HOST}:{port}"
        if name in JANUS_NAMES:
            return [JANUS, "serve", "--listen", address, "--workers", str(self.workers), *site.janus_arguments()]
        if name in FLOOR_NAMES:
            answer = TARGET / f"{site.name}.answer"
            answer.write_bytes(reference.wire)
            command = [BUILT / "floor", address, answer]
            if last is not None:
                last_answer = TARGET / f"{site.name}.last"
                last_answer.write_bytes(last.wire)
                command.append(last_answer)
            return command
        if name in NGINX_NAMES:
            return ["nginx", "-c", nginx_configuration(name, port, h2_port, site)]
        program = self.extra.get(name) or (GO_PEER if name == "go" else BUILT / PROGRAMS[name])
        return [program, address, *site.peer_arguments()]

    def missing(self):
        """Peers that cannot be started here, and why."""
        found = {}
        if not shutil.which("nginx"):
            found |= dict.fromkeys(NGINX_NAMES, "nginx is not on this machine (scripts/tools nginx)")
        if not shutil.which("go"):
            found["go"] = "there is no Go toolchain on this machine"
        return {name: reason for name, reason in found.items() if name in self.names}


def build():
    """Builds Janus and all peers that can be built."""
    subprocess.run(
        ["cargo", "build", "--quiet", "--locked", "--release", "--bin", "janus", "--example", "generate"], cwd=ROOT, check=True
    )
    peers = ROOT / "benches" / "peers"
    subprocess.run(
        ["cargo", "build", "--quiet", "--locked", "--release", "--target-dir", BUILT.parent], cwd=peers, check=True
    )
    if shutil.which("go"):
        run("go", "build", "-o", GO_PEER, ".", cwd=peers / "go")


class Server:
    """A running server, on a core of its own. A context: it ends with it."""

    def __init__(self, name, peers, site, reference=None, wrapper=(), last=None):
        self.name = name
        self.port = free_port()
        # This nginx cannot tell the protocols of one port apart.
        self.h2_port = free_port() if name in NGINX_NAMES else self.port
        self.log = TARGET / f"{name}.log"
        command = [*wrapper, *peers.command(name, self.port, self.h2_port, site, reference, last)]
        # One thread for Go's code, as the others have one worker.
        environment = {**os.environ, "GOMAXPROCS": "1"}
        with server_core(), self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(word) for word in command], stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def wait(self, request):
        """Waits until the request has an answer."""
        end = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise Failure(f"{self.name} ended at its start:\n{self.log.read_text()}")
            try:
                if get(self.port, request).status in (200, 304):
                    return self
            except OSError:
                pass
            time.sleep(0.01)
        raise Failure(f"{self.name} does not answer {request.path} with 200:\n{self.log.read_text()}")

    @property
    def pids(self):
        """The processes that serve: of nginx its worker, not the master."""
        return children(self.process.pid) if self.name in NGINX_NAMES else [self.process.pid]


def check(server, request, reference):
    """Fails unless the server gives this answer: status, body, and the header fields that Janus sends."""
    answer = get(server.port, request)
    where = f"{server.name} on {request.path}"
    if answer.status != reference.status:
        raise Failure(f"{where}: status {answer.status} where Janus answers {reference.status}")
    if answer.body != reference.body:
        raise Failure(f"{where}: {len(answer.body)} bytes that are not the {len(reference.body)} bytes of Janus")
    for name, value in reference.headers.items():
        found = answer.headers.get(name)
        # An entity tag may be the server's own: nginx makes it from date and length.
        if name not in CONNECTION and (found is None or (name not in OWN and found.lower() != value.lower())):
            raise Failure(f"{where}: header field {name} is {found!r} where Janus sends {value!r}")


def nginx_configuration(name, port, h2_port, site):
    """Fills in the configuration; a server of its own has files of its own."""
    directory = TARGET / name
    (directory / "www").mkdir(parents=True, exist_ok=True)
    head = dict(line.split(": ", 1) for line in (site.directory / "identity.head").read_text().splitlines())
    fields = [
        f"add_header {field} '{value}';"
        for field, value in head.items()
        if field in ("cache-control", "vary", "x-total-count")
        # nginx sends these itself with a file.
        or (field in ("etag", "accept-ranges") and name == "nginx-return")
    ]
    if name == "nginx-return":
        body = site.expected(None).decode()
        if "'" in body or "$" in body or "\\" in body:
            raise Failure("a body with ', $ or \\ cannot be written into a configuration of nginx as it is")
        location = [
            *fields,
            f"if ($http_if_none_match = '{head['etag']}') {{ return 304; }}",
            f"return 200 '{body}';",
        ]
    else:
        place_files(site.directory, directory / "www" / "items")
        location = [f"root {directory}/www;", "gzip_static on;", "add_header last-modified '';", *fields]
    text = NGINX_CONFIGURATION.read_text()
    filled = {
        "USER": "user root;" if os.geteuid() == 0 else "",
        "DIRECTORY": directory,
        "ADDRESS": f"{HOST}:{port}",
        "H2_ADDRESS": f"{HOST}:{h2_port}",
        "LOCATION": "\n".join(f"            {line}" for line in location),
    }
    for word, value in filled.items():
        text = text.replace(f"@{word}@", str(value))
    path = directory / "nginx.conf"
    path.write_text(text)
    return path


def place_files(source: Path, path: Path):
    shutil.copyfile(source / "identity.body", path)
    coded = path.with_name(path.name + ".gz")
    coded.unlink(missing_ok=True)
    if (source / "gzip.body").exists():
        shutil.copyfile(source / "gzip.body", coded)
        # nginx makes the entity tag from the file's date.
        shutil.copystat(path, coded)
