"""The cases of steady load: what is asked of whom, in interleaved rounds."""

import contextlib
import statistics
import time
from dataclasses import dataclass, field
from functools import partial

from .generators import closed_loop, h2load, wrk
from .machine import TICK, Quota, Unsteady, busiest, counted_calls, cpu, on_processor
from .peers import FLOOR_NAMES, NGINX_NAMES, Server, check
from .site import Site, generated, sized
from .wire import PLAIN, Request, browser, get

WARM_UP_SECONDS = 1
KIB = 1024

# Items of a body that is coded well: some 50 kB, of which 8 or so are left.
CODED_ITEMS = 400
IDS = 1_000_000
STREAMS = 8

# Below this share of the time a server is not saturated: it sleeps, and pays for being woken.
BUSY = 0.9
# Of what the least busy server uses, how much each gets where the generator is the limit.
OF_LEAST = 0.8
QUOTA_MIN = 0.25

# CPU time is counted in ticks: a round of fewer says nothing.
TICKS_MIN = 3
TRIES = 3

# As a proxy adds it.
CHANGING = (("X-Request-Id", "@" * 16), ("traceparent", f"00-{'@' * 16}{'@' * 16}-{'@' * 16}-01"))

NO_BROTLI = {"nginx-return": "a body in its configuration is text", "nginx-static": "Debian's nginx-light has no Brotli"}
NO_TEXT = {"nginx-return": "a body in its configuration is text"}
TOO_LARGE = {"nginx-return": "a body in its configuration is small"}
NO_CLOSE = {"may_minihttp": "it never closes a connection"}
NO_ITEMS = dict.fromkeys(NGINX_NAMES, "a million files are no configuration one would run")
NO_H2 = dict.fromkeys((*FLOOR_NAMES, "may_minihttp"), "it knows HTTP/1.1 only")


@dataclass(frozen=True)
class Case:
    """Steady load of one kind."""

    name: str
    title: str
    # Called when it is run: data is generated then.
    site: callable
    headers: tuple
    connections: int = 64
    pipeline: int = 1
    is_conditional: bool = False
    is_h2: bool = False
    # Requests a connection, sent by the closed loop of benches/peers; 0: connections are kept. Without: by wrk.
    per_connection: int | None = None
    # Peers that cannot do it, and why.
    without: dict = field(default_factory=dict)

    def request(self, server, site):
        """What is asked of this server: in a conditional request, by the tag that it gave."""
        request = site.requests(self.headers)[0]
        if not self.is_conditional:
            return request
        etag = get(server.port, request).headers["etag"]
        return Request(request.path, (*request.headers, ("If-None-Match", etag)))

    def load(self, server, site, request, body_length, seconds):
        """One run of the generator."""
        if self.per_connection is not None:
            body = site.expected(request)
            return closed_loop(server.port, request, self.connections, seconds, self.per_connection, body)
        if self.is_h2:
            return h2load(server.h2_port, request, self.connections, seconds, STREAMS, body_length)
        return wrk(server.port, request, self.connections, seconds, self.pipeline, site.ids)

    def run(self, peers, settings, say):
        """All rounds of a case: A B C, A B C, ... Returns figures by peer."""
        site = self.site()
        seconds = settings.seconds
        with contextlib.ExitStack() as stack:
            servers, reference = start_all(stack, self.without, peers, site, self.request, bool(self.per_connection))
            check_all(servers, site, self.headers, self.request)
            requests = {server.name: self.request(server, site) for server in servers}
            length = len(reference.body)
            used = {}
            for server in servers:
                figures = measure(self, server, site, requests[server.name], length, min(WARM_UP_SECONDS, seconds))
                used[server.name] = figures
            quota = quota_of(self.name, used, settings, say)
            if quota:
                quota = stack.enter_context(Quota(quota))
                quota.add(pid for server in servers for pid in server.pids)
            # Under the quota too: how many answers share a wait depends on it.
            calls = {server.name: self.calls(server, site, requests[server.name], length) for server in servers}
            found = {server.name: [] for server in servers}
            for number in range(settings.rounds):
                for server in servers:
                    figures = measured(self, server, site, requests[server.name], length, seconds, quota)
                    found[server.name].append(figures | calls[server.name])
                    say(f"{self.name} {number + 1}/{settings.rounds} {server.name}: {figures['cpu_us']:.2f} us, "
                        f"{figures['per_second']:.0f}/s, awake {figures['awake']:.0%}")
        return {name: summary(rounds, found["janus"]) | {"quota": quota and quota.share} for name, rounds in found.items()}

    def calls(self, server, site, request, body_length):
        """System calls an answer, and answers a wait, in a short run of their own."""
        with counted_calls(server.pids) as calls:
            if calls is None:
                return {}
            # Tracing begins before the load and ends after it: else calls of answers are missed.
            time.sleep(0.1)
            # wrk knows whole seconds only.
            load = self.load(server, site, request, body_length, 1)
            time.sleep(0.05)
        if not calls.total:
            return {}
        waits = {"per_wait": load.requests / calls.waits} if calls.waits else {}
        return {"calls": calls.total / load.requests} | waits


def quota_of(name, used, settings, say):
    """The share of a core that each server gets, where the generator is the limit of the least busy one."""
    least = min(used, key=lambda server: used[server]["awake"])
    if used[least]["awake"] >= BUSY:
        return None
    if settings.no_quota:
        say(f"{name}: {settings.no_quota}; the generator is the limit of {least}")
        return None
    quota = max(QUOTA_MIN, round(OF_LEAST * min(figures["running"] for figures in used.values()), 2))
    say(f"{name}: the generator is the limit of {least} (awake {used[least]['awake']:.0%}): each server gets {quota} of a core")
    return quota


def sample():
    return Site("sample")


def coded():
    return Site("coded", generated(CODED_ITEMS), "br,gzip")


def million():
    return Site("million", generated(IDS), ids=IDS)


def body(length):
    return Site(f"body-{length}", sized(length))


CASES = (
    Case("small", "Small GET, a browser's header fields", sample, browser()),
    Case("conditional", "Conditional GET: 304", sample, browser(), is_conditional=True),
    Case("by-id", "One item of a million, ids at random", million, browser(), without=NO_ITEMS),
    Case("request-id", "Small GET, a request id that changes", sample, (*browser(), *CHANGING), per_connection=0),
    Case("churn", "A connection a request", sample, browser(), per_connection=1, without=NO_CLOSE),
    Case("ten", "10 requests a connection", sample, browser(), per_connection=10, without=NO_CLOSE),
    Case("br", "A body in Brotli", coded, browser(accept_encoding="br"), without=NO_BROTLI),
    Case("gzip", "A body in gzip", coded, browser(accept_encoding="gzip"), without=NO_TEXT),
    Case("body-16k", "A body of 16 KiB", partial(body, 16 * KIB), PLAIN, 16, without=TOO_LARGE),
    Case("body-64k", "A body of 64 KiB", partial(body, 64 * KIB), PLAIN, 16, without=TOO_LARGE),
    Case("body-1m", "A body of 1 MiB", partial(body, KIB * KIB), PLAIN, 8, without=TOO_LARGE),
    Case("body-16m", "A body of 16 MiB", partial(body, 16 * KIB * KIB), PLAIN, 4, without=TOO_LARGE),
    Case("pipelined", "Small GETs, pipelined by 16", sample, PLAIN, pipeline=16),
    Case("h2", f"Small GET over HTTP/2, {STREAMS} streams a connection", sample, browser(), 16, is_h2=True, without=NO_H2),
)


def start_all(stack, case_without, peers, site, request_of, closes=False):
    """Starts the servers of a case. Returns them and Janus's answer. With `closes` the floor knows the last answer too."""
    first = site.requests(PLAIN)[0]
    janus = stack.enter_context(Server("janus", peers, site)).wait(first)
    site.keep_answers(janus.port)
    request = request_of(janus, site)
    reference = get(janus.port, request)
    last = get(janus.port, request.closing()) if closes else None
    servers = [janus]
    for name in peers.names:
        if name == "janus" or name in case_without:
            continue
        servers.append(stack.enter_context(Server(name, peers, site, reference, last=last)).wait(first))
    return servers, reference


def check_all(servers, site, headers, request_of):
    """Checks the bytes of all servers, by what is known without Janus and by each other."""
    janus = servers[0]
    for request in site.requests(headers):
        answer = get(janus.port, request)
        site.check(request, answer)
        for server in servers:
            # The floor answers one question only.
            if server.name not in FLOOR_NAMES:
                check(server, request, answer)
    for server in servers:
        check(server, request_of(server, site), get(janus.port, request_of(janus, site)))


def measured(case, server, *rest):
    """One round that used enough CPU for a figure; tried again a few times."""
    for _ in range(TRIES):
        figures = measure(case, server, *rest)
        if figures["cpu_us"] * figures["requests"] >= TICKS_MIN * TICK * 1e6:
            return figures
    raise Unsteady(f"{server.name} hardly had work in {TRIES} tries, the last was {figures['requests']} answers")


def measure(case, server, site, request, body_length, seconds, quota=None):
    """One round of one server."""
    pids = server.pids
    throttled = quota.throttled() if quota else 0.0
    before, threads, start = cpu(pids), on_processor(pids), time.monotonic()
    load = case.load(server, site, request, body_length, seconds)
    # From the requests that were answered, since a generator starts and ends without load.
    taken = min(time.monotonic() - start, load.requests / load.per_second)
    after = cpu(pids)
    throttled = quota.throttled() - throttled if quota else 0.0
    running, awake = busiest(threads, on_processor(pids), taken, throttled)
    user, system = ((now - then) * 1e6 / load.requests for now, then in zip(after, before))
    return {
        "requests": load.requests,
        "cpu_us": user + system,
        "user_us": user,
        "system_us": system,
        "per_second": load.per_second,
        "running": running,
        "busy": running / (quota.share if quota else 1),
        "awake": awake,
        "p50_us": load.p50_us,
        "p99_us": load.p99_us,
    }


def summary(rounds, of_janus):
    """Medians, and the ratio to Janus in each round."""
    names = [name for name, value in rounds[0].items() if value is not None]
    ratios = [own["cpu_us"] / janus["cpu_us"] for own, janus in zip(rounds, of_janus)]
    return {
        "rounds": rounds,
        "median": {name: statistics.median(one[name] for one in rounds) for name in names},
        "cpu_ratio_to_janus": {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)},
    }
