"""What is to be reached, judged by the figures of one run."""

import re
from dataclasses import dataclass

from .cases import BUSY
from .machine import ROOT

BASELINE = ROOT / "benches" / "icount" / "baseline"

MET, MISSED, SKIPPED = "met", "missed", "not measured"
BODIES = ("body-64k", "body-1m", "body-16m")


class Absent(Exception):
    """A figure that this run does not have."""


@dataclass
class Figures:
    """The results, asked for by name."""

    cases: dict
    # Why cases have none, where it is not that nobody asked.
    unsteady: dict

    def of(self, case, peer, name):
        """A figure of a peer in a case: the median, where there are rounds."""
        if case not in self.cases:
            raise Absent(f"case {case} was {'too unsteady' if case in self.unsteady else 'not run'}")
        found = self.cases[case]["peers"].get(peer)
        if found is None:
            raise Absent(f"{peer} did not take part in {case}")
        return found.get("median", found)[name]

    def floor(self, case, name):
        """The floor was measured twice: their mean."""
        return (self.of(case, "floor", name) + self.of(case, "floor-again", name)) / 2

    def pooled_user_us(self, case, peer):
        """User time an answer over all rounds, and what one tick of the clock would change it by."""
        self.of(case, peer, "user_us")
        rounds = self.cases[case]["peers"][peer]["rounds"]
        requests = sum(one["requests"] for one in rounds)
        return sum(one["user_us"] * one["requests"] for one in rounds) / requests, 10_000 / requests


def busy(figures, case, *peers):
    """How awake Janus was, and who was not: a ratio to an idle server means less."""
    return "; awake " + ", ".join(f"{peer} {figures.of(case, peer, 'awake'):.0%}" for peer in ("janus", *peers))


def small(figures):
    own, floor = figures.of("small", "janus", "cpu_us"), figures.floor("small", "cpu_us")
    names = ("nginx-return", "may_minihttp", "axum", "actix-web", "go")
    peers = {name: figures.of("small", name, "cpu_us") for name in names}
    text = ", ".join(f"{name} {value:.2f}" for name, value in peers.items())
    is_met = own <= 1.06 * floor and own < min(peers.values())
    return is_met, f"{own:.2f} µs, {own / floor:.3f} x floor ({floor:.2f}); {text}{busy(figures, 'small', 'floor')}"


def pipelined(figures):
    # Where one of them is not saturated, CPU tells what a saturated one would bear.
    own, may = (figures.of("pipelined", name, "cpu_us") for name in ("janus", "may_minihttp"))
    ratio, faster = own / figures.floor("pipelined", "cpu_us"), may / own
    is_met = faster >= 1.05 and ratio <= 1.2
    text = f"CPU {ratio:.2f} x floor; {faster:.2f} x may_minihttp's answers"
    return is_met, text + busy(figures, "pipelined", "floor", "may_minihttp")


def instructions(figures):
    many, alone, changing = (figures.of("instructions", "janus", name) for name in ("small", "alone", "request-id"))
    is_met = many <= 1_500 and alone <= 1_800 and changing <= 2_500
    return is_met, f"{many:,.0f} on 64 connections, {alone:,.0f} alone on one, {changing:,.0f} with a request id that changes"


def recording(_):
    text = BASELINE.read_text()
    found = re.search(r"^recording::record_requests::\w+_x1000\s+(\d+)$", text, re.MULTILINE)
    if not found:
        raise Absent(f"{BASELINE.name} has no record_requests")
    each = int(found.group(1)) / 1_000
    return each <= 60, f"{each:.0f} instructions, by benches/icount/baseline"


def near_the_floor(case):
    def rule(figures):
        own, floor = figures.of(case, "janus", "cpu_us"), figures.floor(case, "cpu_us")
        return own <= 1.1 * floor, f"{own:.2f} µs, {own / floor:.3f} x floor ({floor:.2f}){busy(figures, case, 'floor')}"

    return rule


def churn(figures):
    own, nginx, floor = (figures.of("churn", name, "cpu_us") for name in ("janus", "nginx-return", "floor"))
    text = f"{own:.2f} µs, {own / nginx:.2f} x nginx ({nginx:.2f}), floor {floor:.2f}"
    return own <= 0.95 * nginx, text + busy(figures, "churn", "nginx-return", "floor")


def ten(figures):
    # Rates of a saturated server: answers a second of CPU. Connections are kept in the case that the same generator loads.
    kept, own = figures.of("request-id", "janus", "cpu_us"), figures.of("ten", "janus", "cpu_us")
    of_floor = figures.floor("request-id", "cpu_us") / figures.floor("ten", "cpu_us")
    text = f"{kept / own:.2f} x ({own:.2f} µs beside {kept:.2f}), the floor {of_floor:.2f} x"
    return kept / own >= 0.55, text + busy(figures, "ten", "floor")


def workers(figures):
    ratio, one, two = (figures.of("workers", "janus", name) for name in ("ratio", "awake_of_1", "awake_of_2"))
    if min(one, two) < BUSY:
        raise Absent(f"the generator was the limit: {ratio:.2f} x, awake {one:.0%} and {two:.0%}")
    return ratio >= 1.9, f"{ratio:.2f} x; awake {one:.0%} and {two:.0%}"


def bodies(figures):
    user = [figures.pooled_user_us(case, "janus") for case in BODIES]
    total = [figures.of(case, "janus", "cpu_us") / figures.floor(case, "cpu_us") for case in BODIES]
    # What is below the clock's resolution is not told from 0.
    is_met = all(value <= 3 + tick for value, tick in user) and all(ratio <= 1.05 for ratio in total)
    text = ", ".join(f"{value:.1f} (± {tick:.1f})" for value, tick in user)
    try:
        counts = ", ".join(f"{figures.of('instructions', 'janus', case):,.0f}" for case in BODIES)
    except Absent:
        counts = "not counted"
    ratios = ", ".join(f"{ratio:.3f}" for ratio in total)
    return is_met, f"user {text} µs, instructions {counts}; total {ratios} x floor"


def h2(figures):
    own, actix = (figures.of("h2", name, "cpu_us") for name in ("janus", "actix-web"))
    return own <= 0.8 * actix, f"{own:.2f} µs, {own / actix:.2f} x actix-web ({actix:.2f})"


def idle(figures):
    own = figures.of("idle", "janus", "bytes")
    return own <= 600, f"{own:,.0f} bytes"


def cold(figures):
    own = figures.of("cold", "janus", "ms")
    return own <= 10, f"{own:.2f} ms"


def tail(figures):
    own, nginx, floor = (figures.of("tail", name, "p999_us") for name in ("janus", "nginx-return", "floor"))
    rate = figures.of("tail", "janus", "rate")
    return own <= nginx, f"{own:,.0f} µs, nginx {nginx:,.0f} µs, floor {floor:,.0f} µs, at {rate:,.0f} requests/s"


def reload(figures):
    steady, during = (figures.of("reload", "janus", name) for name in ("steady_p999_us", "reload_p999_us"))
    failed = figures.of("reload", "janus", "failed")
    return not failed and during <= 2 * steady, f"{failed} failed; p99.9 {during:,.0f} µs, {during / steady:.2f} x steady"


GOALS = (
    ("Small GET: CPU at most 1.06 x floor, below nginx `return`, may_minihttp, axum, actix-web and Go", small),
    ("Pipelined by 16: CPU at most 1.2 x floor, answers a second of CPU at least 1.05 x may_minihttp's", pipelined),
    ("User instructions a small request: at most 1,500 on 64 connections, 1,800 alone, 2,500 with a changing id", instructions),
    ("Recording: at most 60 instructions a request", recording),
    ("304: CPU at most 1.1 x floor", near_the_floor("conditional")),
    ("One item of a million: CPU at most 1.1 x floor", near_the_floor("by-id")),
    ("Brotli: CPU at most 1.1 x floor", near_the_floor("br")),
    ("A connection a request: CPU at most 0.95 x nginx's", churn),
    ("10 requests a connection: at least 0.55 x the rate of kept connections", ten),
    ("Two workers: at least 1.9 x one", workers),
    ("Bodies from 64 KiB to 16 MiB: at most 3 µs of user time each, total within 5 % of the floor's", bodies),
    ("Idle connection: at most 600 bytes of user memory", idle),
    ("First 200 within 10 ms of exec", cold),
    ("p99.9 at half load at most nginx's", tail),
    ("Reload of 100 MB at half load: nothing fails, p99.9 at most 2 x steady", reload),
    ("HTTP/2 at 8 streams a connection: CPU at most 0.8 x actix-web's", h2),
)


def judge(cases, unsteady):
    """Each goal with its figure and verdict."""
    found = []
    for number, (text, rule) in enumerate(GOALS, 1):
        try:
            is_met, figure = rule(Figures(cases, unsteady))
            verdict = MET if is_met else MISSED
        except Absent as absent:
            figure, verdict = str(absent), SKIPPED
        found.append({"number": number, "goal": text, "figure": figure, "verdict": verdict})
    return found


def noise(cases):
    """The floor against itself: what a ratio of this run may differ from 1 by without meaning anything."""
    found = {}
    for name, case in cases.items():
        floors = [case["peers"].get(peer, {}).get("median", {}).get("cpu_us") for peer in ("floor", "floor-again")]
        if all(floors):
            found[name] = floors[1] / floors[0]
    return found
