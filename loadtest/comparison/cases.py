"""The cases of steady load: what is asked of whom, in interleaved rounds."""

import contextlib
import statistics
from dataclasses import dataclass, field
from functools import partial

from .generators import h2load, wrk
from .machine import cpu
from .peers import FLOOR_NAMES, NGINX_NAMES, Server, check
from .site import Site, generated, sized
from .wire import PLAIN, Request, browser, get

WARM_UP_SECONDS = 1
KIB = 1024

# Items of a body that is coded well: some 50 kB, of which 8 or so are left.
CODED_ITEMS = 400
IDS = 1_000_000
STREAMS = 8

NO_BROTLI = {"nginx-return": "a body in its configuration is text", "nginx-static": "Debian's nginx-light has no Brotli"}
NO_TEXT = {"nginx-return": "a body in its configuration is text"}
TOO_LARGE = {"nginx-return": "a body in its configuration is small"}
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
        if self.is_h2:
            return h2load(server.h2_port, request, self.connections, seconds, STREAMS, body_length)
        return wrk(server.port, request, self.connections, seconds, self.pipeline, site.ids)

    def run(self, peers, settings, say):
        """All rounds of a case: A B C, A B C, ... Returns figures by peer."""
        site = self.site()
        seconds = settings.seconds
        with contextlib.ExitStack() as stack:
            servers, reference = start_all(stack, self.without, peers, site, self.request)
            check_all(servers, site, self.headers, self.request)
            requests = {server.name: self.request(server, site) for server in servers}
            length = len(reference.body)
            for server in servers:
                self.load(server, site, requests[server.name], length, min(WARM_UP_SECONDS, seconds))
            found = {server.name: [] for server in servers}
            for number in range(settings.rounds):
                for server in servers:
                    figures = measure(self, server, site, requests[server.name], length, seconds)
                    found[server.name].append(figures)
                    say(f"{self.name} {number + 1}/{settings.rounds} {server.name}: "
                        f"{figures['cpu_us']:.2f} us, {figures['per_second']:.0f}/s")
        return {name: summary(rounds, found["janus"]) for name, rounds in found.items()}


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
    Case("br", "A body in Brotli", coded, browser(accept_encoding="br"), without=NO_BROTLI),
    Case("gzip", "A body in gzip", coded, browser(accept_encoding="gzip"), without=NO_TEXT),
    Case("body-16k", "A body of 16 KiB", partial(body, 16 * KIB), PLAIN, 16, without=TOO_LARGE),
    Case("body-64k", "A body of 64 KiB", partial(body, 64 * KIB), PLAIN, 16, without=TOO_LARGE),
    Case("body-1m", "A body of 1 MiB", partial(body, KIB * KIB), PLAIN, 8, without=TOO_LARGE),
    Case("body-16m", "A body of 16 MiB", partial(body, 16 * KIB * KIB), PLAIN, 4, without=TOO_LARGE),
    Case("pipelined", "Small GETs, pipelined by 16", sample, PLAIN, pipeline=16),
    Case("h2", f"Small GET over HTTP/2, {STREAMS} streams a connection", sample, browser(), 16, is_h2=True, without=NO_H2),
)


def start_all(stack, case_without, peers, site, request_of):
    """Starts the servers of a case, each checked against Janus's answer. Returns them and Janus's answer."""
    first = site.requests(PLAIN)[0]
    janus = stack.enter_context(Server("janus", peers, site)).wait(first)
    site.keep_answers(janus.port)
    request = request_of(janus, site)
    reference = get(janus.port, request)
    servers = [janus]
    for name in peers.names:
        if name == "janus" or name in case_without:
            continue
        servers.append(stack.enter_context(Server(name, peers, site, reference)).wait(first))
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


def measure(case, server, site, request, body_length, seconds):
    """One round of one server."""
    before = cpu(server.pids)
    load = case.load(server, site, request, body_length, seconds)
    after = cpu(server.pids)
    user, system = ((now - then) * 1e6 / load.requests for now, then in zip(after, before))
    return {
        "requests": load.requests,
        "cpu_us": user + system,
        "user_us": user,
        "system_us": system,
        "per_second": load.per_second,
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
