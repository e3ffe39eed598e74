"""Charts of a run: latency by percentile, and what happened over time."""

import math

from comparison.chart import picture

from .scenario import LATENCIES

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 310, 60, 20, 52, 40
SHARES = (("p50", "50 %"), ("p90", "90 %"), ("p99", "99 %"), ("p999", "99.9 %"), ("p9999", "99.99 %"), ("max", "max"))


def frame(title, marks, parts):
    """A plot with its title, its marks along both axes, and its lines."""
    texts = [f'<text class="heading" x="8" y="20">{title}</text>']
    for x, label in marks["x"]:
        texts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{label}</text>')
    for y, label in marks["y"]:
        texts.append(
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'
            f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        )
    return picture(title, WIDTH, HEIGHT, "".join([*texts, *parts]))


def line(kind, points):
    return f'<path class="line {kind}" d="M' + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + '"/>'


def legend(x, kind, text):
    return f'<path class="line {kind}" d="M{x} 32h20"/><text x="{x + 26}" y="36">{text}</text>'


def latency(results):
    """Percentiles on a logarithmic scale, with the objectives."""
    corrected, sent = results["latency_ms"], results["latency_from_sent_ms"]
    bounds = {one["name"].removesuffix("_ms"): one["bound"] for one in results["objectives"] if one["name"] in LATENCIES}
    lowest = 10 ** math.floor(math.log10(max(0.001, min(*corrected.values(), *sent.values()))))
    highest = max(10 * lowest, 10 ** math.ceil(math.log10(max(*corrected.values(), *bounds.values()))))
    step = (WIDTH - LEFT - RIGHT) / len(SHARES)
    x = {name: LEFT + step * (place + 0.5) for place, (name, _) in enumerate(SHARES)}

    def y(value):
        share = math.log(max(value, lowest) / lowest) / math.log(highest / lowest)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    decades = [lowest * 10**power for power in range(round(math.log10(highest / lowest)) + 1)]
    marks = {"x": [(x[name], label) for name, label in SHARES], "y": [(y(one), f"{one:g} ms") for one in decades]}
    parts = [
        line("second", [(x[name], y(sent[name])) for name, _ in SHARES]),
        line("first", [(x[name], y(corrected[name])) for name, _ in SHARES]),
        *(line("bound", [(x[name] - step / 3, y(bound)), (x[name] + step / 3, y(bound))]) for name, bound in bounds.items()),
        legend(330, "first", "from when it was due"),
        legend(500, "second", "from when it was sent"),
        legend(666, "bound", "objective"),
    ]
    return frame(f"{results['scenario']}: latency", marks, parts)


def time(results):
    """Requests and failures in each second, and its 99th percentile."""
    seconds = results["seconds"]
    most = max(one["sent"] for one in seconds)
    slowest = max(one["p99_ms"] for one in seconds)
    bottom, height = HEIGHT - BOTTOM, HEIGHT - TOP - BOTTOM
    last = max(1, seconds[-1]["second"])

    def x(second):
        return LEFT + (WIDTH - LEFT - RIGHT) * second / last

    def points(name, scale):
        return [(x(one["second"]), bottom - height * one[name] / scale) for one in seconds]

    marks = {
        "x": [(x(last * part / 4), f"{last * part / 4:g} s") for part in range(5)],
        "y": [(bottom - height * part / 4, f"{most * part / 4:,.0f}") for part in range(5)],
    }
    parts = [
        line("second", points("p99_ms", slowest)),
        line("bound", points("failed", most)),
        line("first", points("sent", most)),
        legend(330, "first", "requests/s"),
        legend(440, "bound", "failed/s"),
        legend(540, "second", f"p99, up to {slowest:.3g} ms"),
    ]
    return frame(f"{results['scenario']}: over time", marks, parts)
