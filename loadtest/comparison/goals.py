"""What is to be reached, judged by the figures of one run."""

from dataclasses import dataclass

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


def small(figures):
    own, floor = figures.of("small", "janus", "cpu_us"), figures.floor("small", "cpu_us")
    peers = {name: figures.of("small", name, "cpu_us") for name in ("nginx-return", "may_minihttp", "axum", "actix-web")}
    text = ", ".join(f"{name} {value:.2f}" for name, value in peers.items())
    is_met = own <= 1.08 * floor and own < min(peers.values())
    return is_met, f"{own:.2f} µs, {own / floor:.3f} x floor ({floor:.2f}); {text}"


def pipelined(figures):
    own, may, actix = (figures.of("pipelined", name, "per_second") for name in ("janus", "may_minihttp", "actix-web"))
    cpu = figures.of("pipelined", "janus", "cpu_us") / figures.floor("pipelined", "cpu_us")
    is_met = own >= may and own >= 1.8 * actix and cpu <= 1.35
    return is_met, f"{own:,.0f}/s, {own / may:.2f} x may_minihttp, {own / actix:.2f} x actix-web; CPU {cpu:.2f} x floor"


def instructions(figures):
    own, alone = (figures.of("instructions", "janus", name) for name in ("small", "alone"))
    return own <= 2_000, f"{own:,.0f} instructions on 64 connections, {alone:,.0f} alone on one"


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
    return own <= 2_048, f"{own:,.0f} bytes"


def cold(figures):
    own = figures.of("cold", "janus", "ms")
    return own <= 10, f"{own:.2f} ms"


def tail(figures):
    own, nginx = (figures.of("tail", name, "p999_us") for name in ("janus", "nginx-return"))
    return own <= nginx, f"{own:,.0f} µs, nginx {nginx:,.0f} µs, at {figures.of('tail', 'janus', 'rate'):,.0f} requests/s"


def reload(figures):
    steady, during = (figures.of("reload", "janus", name) for name in ("steady_p999_us", "reload_p999_us"))
    failed = figures.of("reload", "janus", "failed")
    return not failed and during <= 2 * steady, f"{failed} failed; p99.9 {during:,.0f} µs, {during / steady:.2f} x steady"


GOALS = (
    ("Small GET: CPU at most 1.08 x floor, below nginx `return`, may_minihttp, axum and actix-web", small),
    ("Pipelined by 16: throughput of may_minihttp, 1.8 x actix-web; CPU at most 1.35 x floor", pipelined),
    ("At most 2,000 user instructions a small request", instructions),
    ("Bodies from 64 KiB to 16 MiB: at most 3 µs of user time each, total within 5 % of the floor's", bodies),
    ("Idle connection: at most 2 KiB of user memory", idle),
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
