"""The results as JSON, as Markdown and as charts, in a folder."""

import json

from comparison.report import table

from . import charts
from .verdict import phrase

LATENCIES = ("p50, ms", "p99, ms", "p99.9, ms")


def write(results, folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps(results, indent=1) + "\n")
    pictures = {}
    # In closed loop there are neither times nor latencies that would mean anything.
    if results["latency_ms"]:
        pictures = {"latency.svg": charts.latency(results), "time.svg": charts.time(results)}
    for name, picture in pictures.items():
        (folder / name).write_text(picture)
    (folder / "summary.md").write_text(markdown(results, pictures))


def markdown(results, pictures):
    requests = results["requests"]
    parts = [
        f"# {results['scenario']}: {results['verdict']}\n",
        f"{results['goal']}\n",
        f"`{results['command']}`, {results['started']}. {requests['sent']:,} requests, {requests['failed']:,} failed, "
        f"{requests['per_second']:,.0f} a second, {results['connections']} connections, {results['engine']}.\n",
        *(f"**No verdict:** {reason}.\n" for reason in results["reasons"]),
        table(("Objective", ""), [(phrase(one), one["verdict"]) for one in results["objectives"]], 2),
    ]
    if results["latency_ms"]:
        late = results["late_ms"]
        parts += [
            stages(results["stages"]),
            routes(results["routes"]),
            f"Latency counts from when a request was due. Half of them were sent {late['p50']:.2f} ms late, one in a hundred "
            f"{late['p99']:.2f} ms or more, the latest {late['max']:.2f} ms.\n",
        ]
    server = results["server"]
    if "cpu_us" in server:
        parts.append(
            f"Server, read from {server['source']}: {server['cpu_us']:.1f} µs of CPU a request; memory "
            f"{server['memory_start_mib']:.1f} MiB at first, {server['memory_max_mib']:.1f} MiB at most.\n"
        )
    else:
        parts.append(f"CPU and memory of the server: not measured, {server['unmeasured']}.\n")
    if reloads := results["reloads"]:
        parts.append(
            f"Reloads: {reloads['done']}, of them {reloads['of_new_data']} of new data, {reloads['failed']} failed; "
            f"the slowest took {reloads['seconds_max']:.2f} s.\n"
        )
    if slow := results["slow"]:
        parts.append(
            f"Slow clients at once, at most: {slow['readers_max']} readers, {slow['writers_max']} writers; "
            f"{slow['cut_off']} were cut off.\n"
        )
    if results["errors"]:
        errors = [(one["text"].replace("|", "\\|"), f"{one['count']:,}") for one in results["errors"]]
        parts.append(table(("Error", "count"), errors, 1))
    parts += [f"![{name.removesuffix('.svg')}]({name})\n" for name in pictures]
    return "\n".join(parts)


def stages(found):
    rows = [
        (str(number), f"{one['rate']:,}", f"{one['seconds']:g}", f"{one['sent']:,}", f"{one['failed']:,}", *latencies(one))
        for number, one in enumerate(found, 1)
    ]
    return table(("Stage", "requests/s", "s", "sent", "failed", *LATENCIES), rows, 1)


def routes(found):
    rows = []
    for one in found:
        statuses = ", ".join(f"{count:,} x {status}" for status, count in one["statuses"].items())
        rows.append((one["name"], f"{one['sent']:,}", f"{one['failed']:,}", statuses, *latencies(one)))
    return table(("Route", "sent", "failed", "statuses", *LATENCIES), rows, 1)


def latencies(one):
    return [f"{one['latency_ms'][name]:,.2f}" if one["latency_ms"] else "" for name in ("p50", "p99", "p999")]
