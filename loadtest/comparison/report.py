"""The results as JSON, as a section of a Markdown file, and as a chart."""

import json

from . import chart
from .cases import BUSY
from .machine import Failure
from .single import MEASUREMENTS

BEGIN, END = "<!-- compare:begin -->", "<!-- compare:end -->"
LOAD_COLUMNS = (
    *("Server", "CPU, µs", "user", "system", "x Janus", "from", "to", "busy, %", "awake, %", "a wait", "calls"),
    *("requests/s", "p50, µs", "p99, µs"),
)


def split(path, begin_line=BEGIN, end_line=END):
    """What stands before and after the section; a file that is not there is empty."""
    text = path.read_text() if path.exists() else f"{begin_line}\n{end_line}\n"
    before, begin, rest = text.partition(begin_line)
    _, end, after = rest.partition(end_line)
    if not begin or not end:
        raise Failure(f"{path} has no lines {begin_line} and {end_line} for the results to stand between")
    return before, after


def kept(path, machine):
    """The results that stand beside the Markdown file, if they are of this commit and machine."""
    file = path.with_suffix("") / "compare.json"
    if not file.exists():
        raise Failure(f"--keep: there is no {file}")
    results = json.loads(file.read_text())
    if results["machine"] != machine:
        raise Failure(f"--keep: {file} is of {results['machine']}, and this is {machine}")
    return results


def write(results, path):
    """Replaces the section of the Markdown file; JSON and chart stand in the folder of its name beside it."""
    before, after = split(path)
    folder = path.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "compare.json").write_text(json.dumps(results, indent=1) + "\n")
    picture = chart.draw(results)
    if picture:
        (folder / "compare.svg").write_text(picture)
    section = markdown(results, f"{folder.name}/compare" if picture else None)
    path.write_text(f"{before}{BEGIN}\n\n{section}\n{END}{after}")


def markdown(results, link):
    """The section."""
    machine = results["machine"]
    parts = [
        "".join(f"    {command}\n" for command in results["commands"]),
        f"{machine['cores']} virtual cores of {machine['processor']}, Linux {machine['kernel']}, {machine['rustc']}, commit "
        f"{machine['commit']}; server on core 0, generator on core 1. Interleaved rounds; medians. CPU is the server "
        f"process's, user and system, an answer; the ratio to Janus is taken round by round: its median, and from least to "
        f"most. `floor` is the least that can be done, an edge-triggered epoll loop that sends fixed bytes without parsing, "
        f"measured twice. Busy is the share of its core, or of its quota, that the serving thread used; awake the share of the "
        f"time in which it ran or waited for the core. A wait is answers a call of `epoll_wait`, calls are system calls an "
        f"answer, both counted in a short run of their own.\n",
        table(("Goal", "Figure", ""), [(goal["goal"], goal["figure"], goal["verdict"]) for goal in results["goals"]], 2),
    ]
    if results["noise"]:
        ratios = ", ".join(f"{name} {ratio:.3f}" for name, ratio in results["noise"].items())
        parts.append(f"Noise: the floor's CPU against its own, measured again in the same rounds: {ratios}.\n")
    if link:
        parts.append(f"![CPU an answer, by server]({link}.svg)\n")
    for name, reason in results["unsteady"].items():
        parts.append(f"Without a figure, {name}: {reason}.\n")
    for name, case in results["cases"].items():
        parts.append(f"### {case['title']}\n")
        if name in BY_NAME:
            parts += [BY_NAME[name].note.format_map(case) + "\n", single_table(BY_NAME[name], case)]
        else:
            parts += [f"{case['rounds']} rounds of {case['seconds']} s.{quota_text(case)}\n", load_table(case)]
            if idlers := not_saturated(case):
                parts.append(f"The generator was the limit (awake below {BUSY:.0%}), so the CPU of these includes sleeping and "
                             f"waking: {', '.join(idlers)}.\n")
        if case["skipped"]:
            reasons = "; ".join(f"{peer}: {reason}" for peer, reason in case["skipped"].items())
            parts.append(f"Not measured: {reasons}.\n")
    return "\n".join(parts)


BY_NAME = {measurement.name: measurement for measurement in MEASUREMENTS}


def quota_text(case):
    quota = next(iter(case["peers"].values())).get("quota")
    return f" Each server has {quota} of a core, since the generator would be the limit." if quota else ""


def not_saturated(case):
    """The peers that slept for lack of requests."""
    return [peer for peer, found in case["peers"].items() if found["median"]["awake"] < BUSY]


def load_table(case):
    rows = []
    for peer, found in case["peers"].items():
        median, ratio = found["median"], found["cpu_ratio_to_janus"]
        figures = [*(f"{median[name]:,.2f}" for name in ("cpu_us", "user_us", "system_us"))]
        figures += [f"{ratio[name]:.2f}" for name in ("median", "min", "max")]
        figures += [f"{100 * median[name]:.0f}" for name in ("busy", "awake")]
        figures += [f"{median[name]:.{digits}f}" if name in median else "" for name, digits in (("per_wait", 1), ("calls", 2))]
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
