"""The results as JSON, as a section of a Markdown file, and as a chart."""

import json
from pathlib import Path

from . import chart
from .machine import Failure
from .single import MEASUREMENTS

BEGIN, END = "<!-- compare:begin -->", "<!-- compare:end -->"
LOAD_COLUMNS = ("Server", "CPU, µs", "user", "system", "x Janus", "from", "to", "requests/s", "p50, µs", "p99, µs")


def write(results, path):
    """Replaces the section of the Markdown file; JSON and chart stand in the folder of its name beside it."""
    path = Path(path)
    folder = path.with_suffix("")
    text = path.read_text() if path.exists() else f"{BEGIN}\n{END}\n"
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise Failure(f"{path} has no lines {BEGIN} and {END} for the results to stand between")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "compare.json").write_text(json.dumps(results, indent=1) + "\n")
    picture = chart.draw(results)
    if picture:
        (folder / "compare.svg").write_text(picture)
    section = markdown(results, f"{folder.name}/compare" if picture else None)
    path.write_text(f"{before}{BEGIN}\n{section}{END}{after}")


def markdown(results, link):
    """The section."""
    machine = results["machine"]
    parts = [
        f"    {results['command']}\n",
        f"{machine['cores']} virtual cores of {machine['processor']}, Linux {machine['kernel']}, {machine['rustc']}, commit "
        f"{machine['commit']}; server on core 0, generator on core 1. {results['rounds']} interleaved rounds of "
        f"{results['seconds']:g} s; medians. CPU is the server process's, user and system, an answer; the ratio to Janus is "
        f"taken round by round: its median, and from least to most.\n",
        table(("Goal", "Figure", ""), [(goal["goal"], goal["figure"], goal["verdict"]) for goal in results["goals"]], 2),
    ]
    if results["noise"]:
        ratios = ", ".join(f"{name} {ratio:.3f}" for name, ratio in results["noise"].items())
        parts.append(f"Noise: the floor's CPU against its own, measured again in the same rounds: {ratios}.\n")
    if link:
        parts.append(f"![CPU an answer, by server]({link}.svg)\n")
    for name, case in results["cases"].items():
        parts.append(f"### {case['title']}\n")
        parts.append(load_table(case) if name not in BY_NAME else single_table(BY_NAME[name], case))
        if case["skipped"]:
            reasons = "; ".join(f"{peer}: {reason}" for peer, reason in case["skipped"].items())
            parts.append(f"Not measured: {reasons}.\n")
    return "\n".join(parts)


BY_NAME = {measurement.name: measurement for measurement in MEASUREMENTS}


def load_table(case):
    rows = []
    for peer, found in case["peers"].items():
        median, ratio = found["median"], found["cpu_ratio_to_janus"]
        figures = [*(f"{median[name]:,.2f}" for name in ("cpu_us", "user_us", "system_us"))]
        figures += [f"{ratio[name]:.2f}" for name in ("median", "min", "max")]
        figures.append(f"{median['per_second']:,.0f}")
        figures += [f"{median[name]:,.0f}" if name in median else "" for name in ("p50_us", "p99_us")]
        rows.append((peer, *figures))
    return table(LOAD_COLUMNS, rows, 1)


def single_table(measurement, case):
    headings = ("Server", *(heading for _, heading, _ in measurement.columns))
    rows = [
        (peer, *(f"{found[key]:,.{digits}f}" for key, _, digits in measurement.columns))
        for peer, found in case["peers"].items()
    ]
    return table(headings, rows, 1)


def table(headings, rows, left):
    """A Markdown table; columns from `left` on hold numbers, unless they hold verdicts."""
    rules = ["---" if place < left or not headings[place] else "--:" for place in range(len(headings))]
    lines = [headings, rules, *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
