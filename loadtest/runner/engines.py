"""The engines that play a plan: vegeta in open loop, wrk in closed loop."""

import csv
import json
import os
import subprocess
import tempfile
from array import array
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from .scenario import OPEN_LOOP

WRK_SCRIPT = Path(__file__).resolve().parents[1] / "wrk.lua"
# More than a scenario's timeout after its end an engine hangs.
PATIENCE_SECONDS = 60


class EngineError(Exception):
    """The generator itself failed."""


@dataclass
class Played:
    """What became of one stage. Times are seconds since the stage's first request was due."""

    rate: int | None
    seconds: float
    planned: int | None = None
    sent: int = 0
    # In open loop, one of each request: when it was due, sent, answered, and the place of its route.
    due: array = field(default_factory=lambda: array("d"))
    started: array = field(default_factory=lambda: array("d"))
    ended: array = field(default_factory=lambda: array("d"))
    route: array = field(default_factory=lambda: array("H"))
    is_failed: array = field(default_factory=lambda: array("b"))
    failed: int = 0
    statuses: Counter = field(default_factory=Counter)
    errors: Counter = field(default_factory=Counter)


def play(plan, say):
    """All stages, one after the other."""
    routes = list(dict.fromkeys(request["route"] for request in plan["requests"]))
    engine = vegeta if plan["engine"] == OPEN_LOOP else wrk
    with tempfile.TemporaryDirectory(prefix="janus-load-") as folder:
        played = []
        for stage in plan["stages"]:
            say(f"{plan['engine']}: {stage['rate'] or 'any number of'} requests a second for {stage['seconds']:g} s")
            played.append(engine(plan, stage, routes, Path(folder)))
        return routes, played


def vegeta(plan, stage, routes, folder):
    """Requests at fixed times, whatever the answers do: a worker more where all of them wait."""
    targets, results = folder / "targets", folder / "results"
    targets.write_text("".join(json.dumps(vegeta_target(request)) + "\n" for request in plan["requests"]))
    # Nothing but the target is asked: no proxy, and no place that a redirection names.
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    command = [
        "vegeta", "attack", "-format=json", f"-targets={targets}", f"-output={results}", f"-rate={stage['rate']}/1s",
        f"-duration={stage['seconds']:.3f}s", f"-timeout={plan['timeout_seconds']:g}s", f"-workers={plan['connections']}",
        f"-connections={plan['connections']}", f"-max-connections={plan['connections']}", "-max-body=0", "-redirects=-1",
    ]
    call(command, stage["seconds"] + plan["timeout_seconds"], env=environment)
    expected = {(request["method"], vegeta_target(request)["url"]): request["status"] for request in plan["requests"]}
    encode = subprocess.Popen(["vegeta", "encode", "-to=csv", str(results)], stdout=subprocess.PIPE, text=True)
    with encode:
        played = read_results(csv.reader(encode.stdout), stage, expected, routes)
    results.unlink()
    if encode.returncode != 0:
        raise EngineError(f"vegeta encode ended with {encode.returncode}")
    return played


def vegeta_target(request):
    """The fragment of a URL is never sent; here it tells routes of one path apart."""
    headers = {name: [value] for name, value in request["headers"].items()}
    return {"method": request["method"], "url": f"{request['url']}#{request['route']}", "header": headers}


def read_results(rows, stage, expected, routes):
    """Figures of vegeta's results, which come in any order."""
    played = Played(stage["rate"], stage["seconds"], planned=int(stage["rate"] * stage["seconds"]))
    places = {name: place for place, name in enumerate(routes)}
    origin = None
    for timestamp, code, latency, _, _, error, _, _, number, method, url, *_ in rows:
        origin = origin or int(timestamp)
        start = (int(timestamp) - origin) / 1e9
        status, wanted = int(code), expected[method, url]
        played.due.append(int(number) / stage["rate"])
        played.started.append(start)
        played.ended.append(start + int(latency) / 1e9)
        played.route.append(places[url.rpartition("#")[2]])
        played.is_failed.append(status != wanted)
        played.statuses[url.rpartition("#")[2], status] += 1
        if status != wanted:
            played.errors[error if status == 0 else f"status {status} where {wanted} is right"] += 1
    played.sent, played.failed = len(played.due), sum(played.is_failed)
    if played.sent:
        # The one that was sent most punctually was in time.
        first = min(start - due for start, due in zip(played.started, played.due))
        for times in (played.started, played.ended):
            times[:] = array("d", (time - first for time in times))
    return played


def wrk(plan, stage, _, folder):
    """As many requests as the server answers, each connection waiting for its answer."""
    heads = folder / "heads"
    with heads.open("wb") as file:
        for request in plan["requests"]:
            parts = urlsplit(request["url"])
            lines = [f"{request['method']} {parts.path} HTTP/1.1", f"Host: {parts.netloc}"]
            lines += [f"{name}: {value}" for name, value in request["headers"].items()]
            file.write("\r\n".join([*lines, "", ""]).encode())
    # wrk counts whole seconds.
    seconds = max(1, round(stage["seconds"]))
    printed = call(
        ["wrk", "-t1", f"-c{plan['connections']}", f"-d{seconds}s", f"--timeout={plan['timeout_seconds']:.0f}s",
         "-s", str(WRK_SCRIPT), plan["target"], "--", str(heads)],
        seconds + plan["timeout_seconds"],
    )
    found = json.loads(printed.rpartition("figures ")[2])
    errors = Counter({f"{kind} (counted by wrk)": count for kind, count in found["errors"].items() if count})
    failed = min(found["requests"] + errors.total(), errors.total())
    return Played(None, found["seconds"], sent=found["requests"], failed=failed, errors=errors)


def call(command, seconds, **options):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + PATIENCE_SECONDS, **options)
    except FileNotFoundError:
        raise EngineError(f"{command[0]} is not on this machine: scripts/tools {command[0]}") from None
    except subprocess.TimeoutExpired:
        raise EngineError(f"{command[0]} did not end") from None
    if done.returncode != 0:
        raise EngineError(f"{command[0]} ended with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
