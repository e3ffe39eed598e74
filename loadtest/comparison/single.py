"""Measurements that are no steady load: idle connections, cold start, instructions, latency at half load, reload."""

import contextlib
import os
import re
import shutil
import statistics
import time
from dataclasses import dataclass

from .cases import CASES, WARM_UP_SECONDS, check_all, sample, start_all
from .generators import OpenLoop, wrk
from .machine import TARGET, Failure, cpu, user_memory
from .peers import ALL, FRAMEWORKS, JANUS_NAMES, NGINX_NAMES, Server
from .site import Site, generated
from .wire import Request, browser, connect, get, receive

INSTRUCTION_REQUESTS = (500, 2_500)
# When the data is replaced, of the time of load.
RELOAD_AT = 0.2
OPEN_LOOP_SECONDS_FACTOR = 2

SMALL = CASES[0]


@dataclass(frozen=True)
class Measurement:
    """One of them: `run(peers, settings, say)` gives figures by peer."""

    name: str
    title: str
    run: callable
    # The figures that the table shows, as (key, heading, digits).
    columns: tuple
    without: dict


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
        while True:
            try:
                answer = get(server.port, request)
                break
            except ConnectionRefusedError:
                if server.process.poll() is not None:
                    raise Failure(f"{name} ended at its start:\n{server.log.read_text()}") from None
        taken = (time.perf_counter() - start) * 1e3
        if answer.body != reference.body:
            raise Failure(f"{name}: the first answer is another one")
    return taken


def instructions(peers, settings, say):
    """User instructions of the whole server, by callgrind: the difference of two numbers of requests."""
    if not shutil.which("valgrind"):
        raise Failure("instructions are counted by valgrind, which is not on this machine")
    site = sample()
    found = {}
    with contextlib.ExitStack() as stack:
        servers, reference = start_all(stack, NO_VALGRIND, peers, site, request_of)
        names = [server.name for server in servers]
    for name in names:
        few, many = (count_instructions(name, peers, site, reference, count) for count in INSTRUCTION_REQUESTS)
        each = (many - few) / (INSTRUCTION_REQUESTS[1] - INSTRUCTION_REQUESTS[0])
        found[name] = {"instructions": each}
        say(f"instructions {name}: {each:.0f}")
    return found


def count_instructions(name, peers, site, reference, requests):
    request = Request("/items", SMALL.headers)
    wrapper = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
    with Server(name, peers, site, reference, wrapper).wait(request) as server:
        head = request.head()
        with connect(server.port) as connection:
            for _ in range(requests):
                connection.sendall(head)
                if receive(connection).body != reference.body:
                    raise Failure(f"{name}: an answer under valgrind is another one")
    counted = re.search(r"Collected : (\d+)", server.log.read_text())
    if not counted:
        raise Failure(f"callgrind did not count {name}:\n{server.log.read_text()}")
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
                figures = OpenLoop(server.port, [request], rate, OPEN_LOOP_SECONDS_FACTOR * settings.seconds).finish()
                hold(figures, rate, server.name)
                found.setdefault(server.name, []).append(figures)
                say(f"tail {server.name} at {rate:.0f}/s: p99.9 {figures['p999_us']:.0f} us, sent late at most {figures['late_us_max']:.0f} us")
    keys = ("rate", "p50_us", "p99_us", "p999_us")
    return {
        name: {key: statistics.median(one[key] for one in rounds) for key in keys} | {"rounds": rounds}
        for name, rounds in found.items()
    }


def saturation(servers, request, seconds):
    """Requests a second that the slower of these bears."""
    for server in servers:
        wrk(server.port, request, 64, min(seconds, WARM_UP_SECONDS))
    return min(wrk(server.port, request, 64, seconds).per_second for server in servers)


def hold(figures, rate, name):
    """Fails unless all was answered, and the rate held."""
    if figures["failed"] or figures["rate"] < 0.95 * rate:
        raise Failure(f"{name} at {rate:.0f} requests a second: {figures}")


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
    steady = OpenLoop(server.port, requests, rate, seconds).finish()
    hold(steady, rate, server.name)
    load = OpenLoop(server.port, requests, rate, seconds)
    time.sleep(RELOAD_AT * seconds)
    # The last item is gone, so it is another snapshot; nobody asks for it.
    replace(data, lines[:-1])
    during = load.finish()
    text = get(server.port, Request("/metrics")).body.decode()
    if not re.search(r'^janus_reloads_total\{result="success"\} 1$', text, re.MULTILINE):
        raise Failure(f"{server.name} had not reloaded by the end of the load:\n{server.log.read_text()}")
    say(f"reload {server.name} at {rate:.0f}/s: p99.9 {steady['p999_us']:.0f} us steady, {during['p999_us']:.0f} us, {during['failed']} failed")
    return {
        "rate": rate,
        "steady_p999_us": steady["p999_us"],
        "reload_p999_us": during["p999_us"],
        "reload_max_us": during["max_us"],
        "failed": during["failed"],
    }


NO_VALGRIND = {"go": "valgrind does not know Go's stacks"} | dict.fromkeys(
    NGINX_NAMES, "its worker is another process than the one that is started"
)
NO_TAIL = dict.fromkeys((*FRAMEWORKS, "go", "nginx-static"), "its load would be another one")
ONLY_JANUS = {name: "it does not reload" for name in ALL if name not in JANUS_NAMES}

MEASUREMENTS = (
    Measurement("idle", "Idle connections: user memory each", idle, (("bytes", "bytes", 0),), {}),
    Measurement("cold", "Cold start: from exec to the first 200", cold, (("ms", "ms", 2), ("ms_max", "slowest, ms", 2)), {}),
    Measurement("instructions", "User instructions of a small GET", instructions, (("instructions", "instructions", 0),), NO_VALGRIND),
    Measurement(
        "tail",
        "Latency at half load, open loop",
        tail,
        (("rate", "requests/s", 0), ("p50_us", "p50, µs", 0), ("p99_us", "p99, µs", 0), ("p999_us", "p99.9, µs", 0)),
        NO_TAIL,
    ),
    Measurement(
        "reload",
        "Reload of 100 MB at half load",
        reload,
        (("steady_p999_us", "p99.9 steady, µs", 0), ("reload_p999_us", "p99.9, µs", 0), ("failed", "failed", 0)),
        ONLY_JANUS,
    ),
)
