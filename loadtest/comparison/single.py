"""Measurements that are no steady load: idle connections, cold start, instructions, latency at half load, reload."""

import contextlib
import itertools
import os
import re
import shutil
import statistics
import time
from dataclasses import dataclass, field
from dataclasses import replace as replace_fields

from .cases import CASES, WARM_UP_SECONDS, check_all, sample, start_all
from .generators import OpenLoop, wrk
from .machine import GENERATOR_CORE, SERVER_CORE, TARGET, Failure, Quota, Unsteady, busiest, cpu, on_processor, user_memory
from .peers import ALL, FRAMEWORKS, JANUS_NAMES, NGINX_NAMES, START_SECONDS_MAX, Server
from .site import Site, generated
from .wire import Request, browser, connect, get, receive

# When the data is replaced, of the time of load.
RELOAD_AT = 0.2
OPEN_LOOP_SECONDS_FACTOR = 2
TRIES = 3

# The part of a core that each worker gets where two are compared with one: the generator needs the rest of both.
WORKER_SHARE = 0.4
CORES = {SERVER_CORE, GENERATOR_CORE}

BY_NAME = {case.name: case for case in CASES}
SMALL = BY_NAME["small"]

CALLGRIND = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")

# Figure, case, connections, and the two numbers of requests on each whose difference is taken.
COUNTED = (
    ("small", SMALL, SMALL.connections, 20, 100),
    ("alone", SMALL, 1, 500, 2_500),
    ("request-id", BY_NAME["request-id"], 64, 20, 100),
    ("body-64k", BY_NAME["body-64k"], 1, 20, 120),
    ("body-1m", BY_NAME["body-1m"], 1, 5, 15),
    ("body-16m", BY_NAME["body-16m"], 1, 5, 25),
)


@dataclass(frozen=True)
class Measurement:
    """One of them: `run(peers, settings, say)` gives figures by peer."""

    name: str
    title: str
    # What the figures are, for the document; `{rounds}` and `{seconds}` are filled in.
    note: str
    run: callable
    # The figures that the table shows, as (key, heading, digits).
    columns: tuple
    # Peers that cannot do it, and why.
    without: dict = field(default_factory=dict)


def request_of(server, site):
    return SMALL.request(server, site)


def idle(peers, settings, say):
    """User memory of connections that have had one answer each."""
    found = {}
    site = sample()
    with contextlib.ExitStack() as stack:
        servers, _ = start_all(stack, {}, peers, site, request_of)
        check_all(servers, site, SMALL.headers, request_of)
        for server in servers:
            head = request_of(server, site).head()
            # What the first connections make is not the price of one more.
            ask_on_each(server.port, head, 64)
            before = user_memory(server.pids)
            connections = ask_on_each(server.port, head, settings.idle_connections)
            bytes_each = (user_memory(server.pids) - before) / settings.idle_connections
            for connection in connections:
                connection.close()
            found[server.name] = {"bytes": bytes_each}
            say(f"idle {server.name}: {bytes_each:.0f} bytes")
    return found


def ask_on_each(port, head, count):
    connections = []
    for _ in range(count):
        connection = connect(port)
        connection.sendall(head)
        connections.append(connection)
        if receive(connection).status != 200:
            raise Failure("an answer is not 200")
    return connections


def cold(peers, settings, say):
    """From just before exec to the last byte of the first 200, on the built-in sample."""
    site = sample()
    times = {}
    with contextlib.ExitStack() as stack:
        servers, reference = start_all(stack, {}, peers, site, request_of)
        names = [server.name for server in servers]
    for _ in range(settings.starts):
        for name in names:
            times.setdefault(name, []).append(one_start(name, peers, site, reference))
    for name, taken in times.items():
        say(f"cold {name}: {statistics.median(taken):.2f} ms")
    return {name: {"ms": statistics.median(taken), "ms_max": max(taken)} for name, taken in times.items()}


def one_start(name, peers, site, reference):
    request = Request("/items", SMALL.headers)
    start = time.perf_counter()
    with Server(name, peers, site, reference) as server:
        answer = None
        # What listens before it has data answers 503 until then.
        while answer is None or answer.status == 503:
            if server.process.poll() is not None or time.perf_counter() - start > START_SECONDS_MAX:
                raise Failure(f"{name} does not start:\n{server.log.read_text()}")
            with contextlib.suppress(ConnectionRefusedError):
                answer = get(server.port, request)
        taken = (time.perf_counter() - start) * 1e3
        if answer.body != reference.body:
            raise Failure(f"{name}: the first answer is another one: {answer.wire}")
    return taken


def instructions(peers, settings, say):
    """User instructions of the whole server, by callgrind: the difference of two numbers of requests."""
    if not shutil.which("valgrind"):
        raise Failure("instructions are counted by valgrind, which is not on this machine (scripts/tools valgrind)")
    found = {}
    for key, case, connections, few, many in COUNTED:
        site = case.site()
        request = site.requests(case.headers)[0]
        with contextlib.ExitStack() as stack:
            servers, reference = start_all(stack, NO_VALGRIND, peers, site, case.request)
            names = [server.name for server in servers]
        for name in names:
            less, more = (
                count_instructions(Server(name, peers, site, reference, CALLGRIND), request, reference, connections, number)
                for number in (few, many)
            )
            each = (more - less) / (many - few) / connections
            found.setdefault(name, {})[key] = each
            say(f"instructions {name} {key}: {each:.0f}")
    return found


def count_instructions(server, request, reference, connections, requests):
    """All that the server executes from its start to its end, with so many requests on so many connections in between."""
    # Numbers of ids are spread, as ids are.
    numbers = (number * 0x9E3779B97F4A7C15 % (1 << 64) for number in itertools.count(1))
    with server, contextlib.ExitStack() as stack:
        server.wait(request)
        opened = [stack.enter_context(connect(server.port)) for _ in range(connections)]
        for _ in range(requests):
            for connection in opened:
                connection.sendall(request.numbered(next(numbers)).head())
            for connection in opened:
                if receive(connection).body != reference.body:
                    raise Failure(f"{server.name}: an answer under valgrind is another one")
    counted = re.search(r"Collected : (\d+)", server.log.read_text())
    if not counted:
        raise Failure(f"callgrind did not count {server.name}:\n{server.log.read_text()}")
    return int(counted.group(1))


def tail(peers, settings, say):
    """Latency in open loop, at half of the load that the slower of Janus and nginx bears."""
    found = {}
    site = sample()
    with contextlib.ExitStack() as stack:
        servers, _ = start_all(stack, NO_TAIL, peers, site, request_of)
        check_all(servers, site, SMALL.headers, request_of)
        request = request_of(servers[0], site)
        compared = [server for server in servers if server.name in ("janus", "nginx-return")]
        rate = saturation(compared, request, settings.seconds) / 2
        for _ in range(settings.rounds):
            for server in servers:
                seconds = OPEN_LOOP_SECONDS_FACTOR * settings.seconds
                figures = held(server.port, [request], rate, seconds, server.name)
                found.setdefault(server.name, []).append(figures)
                say(f"tail {server.name} at {rate:.0f}/s: p99.9 {figures['p999_us']:.0f} us, "
                    f"sent late at most {figures['late_us_max']:.0f} us")
    keys = ("rate", "late_us_max", "p50_us", "p99_us", "p999_us")
    return {
        name: {key: statistics.median(one[key] for one in rounds) for key in keys} | {"rounds": rounds}
        for name, rounds in found.items()
    }


def saturation(servers, request, seconds):
    """Requests a second that the slower of these bears."""
    for server in servers:
        wrk(server.port, request, 64, min(seconds, WARM_UP_SECONDS))
    return min(wrk(server.port, request, 64, seconds).per_second for server in servers)


def held(port, requests, rate, seconds, name):
    """One run in open loop in which the rate was held and nothing failed; tried again a few times."""
    for _ in range(TRIES):
        figures = OpenLoop(port, requests, rate, seconds).finish()
        if figures["failed"]:
            raise Failure(f"{name} at {rate:.0f} requests a second: {figures}")
        if figures["rate"] >= 0.95 * rate:
            return figures
    raise Unsteady(f"{name}: {rate:.0f} requests a second were not held in {TRIES} tries, the last was {figures}")


def workers(peers, settings, say):
    """Answers a second of one worker and of two, each with the same share of a core, so that neither is idle."""
    if settings.no_quota:
        raise Unsteady(settings.no_quota)
    site, rounds = sample(), []
    with contextlib.ExitStack() as stack:
        servers = []
        for number in (1, 2):
            server = stack.enter_context(Server("janus", replace_fields(peers, workers=number), site))
            request = request_of(server.wait(site.requests(SMALL.headers)[0]), site)
            site.check(request, get(server.port, request))
            os.sched_setaffinity(server.process.pid, CORES)
            for task in os.listdir(f"/proc/{server.process.pid}/task"):
                os.sched_setaffinity(int(task), CORES)
            servers.append((number, server))
        for _ in range(settings.rounds):
            figures = {}
            for number, server in servers:
                with Quota(WORKER_SHARE * number) as quota:
                    quota.add(server.pids)
                    wrk(server.port, request, SMALL.connections, 1)
                    throttled, before, start = quota.throttled(), on_processor(server.pids), time.monotonic()
                    load = wrk(server.port, request, SMALL.connections, settings.seconds)
                    taken = time.monotonic() - start
                    _, awake = busiest(before, on_processor(server.pids), taken, quota.throttled() - throttled)
                figures |= {f"of_{number}": load.per_second, f"awake_of_{number}": awake}
            figures["ratio"] = figures["of_2"] / figures["of_1"]
            say(f"workers: {figures['of_1']:.0f}/s of one, {figures['of_2']:.0f}/s of two, {figures['ratio']:.2f} x")
            rounds.append(figures)
    return {"janus": {key: statistics.median(one[key] for one in rounds) for key in rounds[0]} | {"rounds": rounds}}


def reload(peers, settings, say):
    """Replaces about 100 MB of data under open-loop load, and compares the tail with the one before."""
    found = {}
    lines = generated(settings.reloaded_items).read_bytes().splitlines(keepends=True)
    data = TARGET / "reloaded.ndjson"
    site = Site("reloaded", data, "br,zstd,gzip", ids=len(lines) - 1)
    requests = [Request(f"/items/{number * 7919 % site.ids}", browser()) for number in range(10_000)]
    for name in (name for name in peers.names if name in JANUS_NAMES):
        rounds = []
        for _ in range(settings.rounds):
            replace(data, lines)
            with Server(name, peers, site).wait(requests[0]) as server:
                settle(server)
                rounds.append(one_reload(server, data, lines, requests, settings, say))
        steady, during = (statistics.median(one[key] for one in rounds) for key in ("steady_p999_us", "reload_p999_us"))
        failed = sum(one["failed"] for one in rounds)
        found[name] = {"steady_p999_us": steady, "reload_p999_us": during, "failed": failed, "rounds": rounds}
    return found


def replace(data, lines):
    """Puts the file in place as a whole, as one should."""
    part = data.with_suffix(".part")
    part.write_bytes(b"".join(lines))
    os.rename(part, data)


def settle(server):
    """Waits until codings that are made after the start no longer use the core."""
    last = -1.0
    while (now := sum(cpu(server.pids))) - last > 0.02:
        last = now
        time.sleep(0.5)


def one_reload(server, data, lines, requests, settings, say):
    rate = saturation([server], requests[0], settings.seconds) / 2
    seconds = 4 * settings.seconds
    steady = held(server.port, requests, rate, seconds, server.name)
    load = OpenLoop(server.port, requests, rate, seconds)
    time.sleep(RELOAD_AT * seconds)
    # The last item is gone, so it is another snapshot; nobody asks for it.
    replace(data, lines[:-1])
    during = load.finish()
    text = get(server.port, Request("/metrics")).body.decode()
    if not re.search(r'^janus_reloads_total\{result="success"\} 1$', text, re.MULTILINE):
        raise Failure(f"{server.name} had not reloaded by the end of the load:\n{server.log.read_text()}")
    say(f"reload {server.name} at {rate:.0f}/s: p99.9 {steady['p999_us']:.0f} us steady, "
        f"{during['p999_us']:.0f} us, {during['failed']} failed")
    return {
        "rate": rate,
        "steady_p999_us": steady["p999_us"],
        "reload_p999_us": during["p999_us"],
        "reload_max_us": during["max_us"],
        "failed": during["failed"],
    }


NO_VALGRIND = {"floor-again": "the count is the same", "go": "valgrind does not know Go's stacks"} | dict.fromkeys(
    NGINX_NAMES, "its worker is another process than the one that is started"
)
NO_TAIL = dict.fromkeys((*FRAMEWORKS, "go", "nginx-static"), "its load would be another one")
ONLY_JANUS = {name: "it does not reload" for name in ALL if name not in JANUS_NAMES}

MEASUREMENTS = (
    Measurement(
        name="idle",
        title="Idle connections: user memory each",
        note="After one answer on each. The kernel's memory of a socket is not in it: it is the same for all.",
        run=idle,
        columns=(("bytes", "bytes", 0),),
    ),
    Measurement(
        name="cold",
        title="Cold start: from exec to the first 200",
        note="Each time a new process, on the built-in sample.",
        run=cold,
        columns=(("ms", "ms", 2), ("ms_max", "slowest, ms", 2)),
    ),
    Measurement(
        name="instructions",
        title="User instructions an answer",
        note="callgrind on the whole server, its waits for sockets included: the difference of two numbers of requests. "
        "Alone, on one connection, each request pays for a wait; of 64 connections several share one.",
        run=instructions,
        columns=(
            ("small", "small GET, 64 connections", 0),
            ("alone", "alone", 0),
            ("request-id", "a request id that changes", 0),
            ("body-64k", "64 KiB", 0),
            ("body-1m", "1 MiB", 0),
            ("body-16m", "16 MiB", 0),
        ),
        without=NO_VALGRIND,
    ),
    Measurement(
        name="tail",
        title="Latency at half load, open loop",
        note="{rounds} rounds. The rate is half of what the slower of Janus and nginx `return` bears; each latency counts "
        "from when the request was due. What was sent late is the generator's doing.",
        run=tail,
        columns=(
            ("rate", "requests/s", 0),
            ("p50_us", "p50, µs", 0),
            ("p99_us", "p99, µs", 0),
            ("p999_us", "p99.9, µs", 0),
            ("late_us_max", "latest sent, µs", 0),
        ),
        without=NO_TAIL,
    ),
    Measurement(
        name="workers",
        title="Two workers beside one",
        note="{rounds} rounds. One worker has 0.4 of a core, two have 0.8, by a quota, on both cores; the generator has the rest.",
        run=workers,
        columns=(
            ("of_1", "one, requests/s", 0),
            ("of_2", "two, requests/s", 0),
            ("ratio", "ratio", 2),
            ("awake_of_1", "awake, one", 2),
            ("awake_of_2", "awake, two", 2),
        ),
    ),
    Measurement(
        name="reload",
        title="Reload of 100 MB at half load",
        note="{rounds} rounds. The file is replaced while items are asked for by id at half of what this server bears; it "
        "loads, publishes and makes three codings on the one core that also answers.",
        run=reload,
        columns=(("steady_p999_us", "p99.9 steady, µs", 0), ("reload_p999_us", "p99.9, µs", 0), ("failed", "failed", 0)),
        without=ONLY_JANUS,
    ),
)
