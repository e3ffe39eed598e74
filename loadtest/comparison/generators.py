"""The programs that send load. Each returns figures of one run, and fails the comparison if an answer failed."""

import json
import re
import subprocess
from dataclasses import dataclass

from .machine import ROOT, TARGET, Failure, run
from .wire import HOST

WRK_SCRIPT = ROOT / "loadtest" / "wrk.lua"
CLOSED_LOOP = ROOT / "target" / "peers" / "release" / "closedloop"
OPEN_LOOP = ROOT / "target" / "peers" / "release" / "openloop"


@dataclass(frozen=True)
class Load:
    """What one run of a closed-loop generator found."""

    requests: int
    per_second: float
    p50_us: float | None
    p99_us: float | None


def wrk(port, request, connections, seconds, pipeline=1, ids=0):
    """Closed loop over HTTP/1.1; with `ids`, the path ends with a random id below it."""
    headers = TARGET / "wrk.headers"
    headers.write_text("".join(f"{name}: {value}\n" for name, value in request.headers))
    url = f"http://{HOST}:{port}{request.path}"
    script = [WRK_SCRIPT, url, "--", headers, pipeline, ids]
    printed = run("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", *script)
    found = json.loads(printed.rpartition("figures ")[2])
    failed = {name: count for name, count in found["errors"].items() if count}
    if failed or not found["requests"]:
        raise Failure(f"wrk on {url}: {found['requests']} answers, errors {failed}")
    return Load(found["requests"], found["requests"] / found["seconds"], found["p50_us"], found["p99_us"])


def closed_loop(port, request, connections, seconds, per_connection, body):
    """Closed loop with so many requests a connection, 0 for all of them; each answer's status and body are compared."""
    head, expected = TARGET / "closedloop.head", TARGET / "closedloop.body"
    head.write_bytes(request.head())
    expected.write_bytes(body)
    words = [CLOSED_LOOP, f"{HOST}:{port}", seconds, connections, per_connection, head, expected]
    found = json.loads(run(*words))
    if not found["requests"]:
        raise Failure(f"the closed loop on port {port} had no answer")
    return Load(found["requests"], found["requests"] / found["seconds"], None, None)


def h2load(port, request, connections, seconds, streams, body_length):
    """Closed loop over HTTP/2 by prior knowledge. It keeps no percentiles."""
    fields = [f"-H{name}: {value}" for name, value in request.headers if name not in ("Host", "Connection")]
    url = f"http://{HOST}:{port}{request.path}"
    printed = run("h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-D{seconds}", *fields, url)
    counts = re.search(r"requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored", printed)
    statuses = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", printed)
    data = re.search(r"\((\d+)\) data", printed)
    if not (counts and statuses and data):
        raise Failure(f"h2load on {url} printed no figures:\n{printed}")
    done, succeeded, failed, errored = map(int, counts.groups())
    # At the end of the time some answers are under way: their bytes count, and they do not.
    under_way = connections * streams * body_length
    surplus = int(data.group(1)) - done * body_length
    if failed or errored or done != succeeded or not done or not 0 <= surplus <= under_way:
        raise Failure(f"h2load on {url}: failed answers, or bodies of another length:\n{printed}")
    return Load(done, done / seconds, None, None)


class OpenLoop:
    """Open loop at a fixed rate, with latencies from the time each request was due. `finish` returns its figures."""

    def __init__(self, port, requests, rate, seconds, connections=64):
        heads = TARGET / "openloop.requests"
        heads.write_bytes(b"".join(request.head() for request in requests))
        words = [OPEN_LOOP, f"{HOST}:{port}", f"{rate:.0f}", seconds, connections, heads]
        self.process = subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, text=True)

    def finish(self):
        printed, _ = self.process.communicate()
        if self.process.returncode != 0:
            raise Failure(f"the open-loop generator ended with {self.process.returncode}")
        return json.loads(printed)
