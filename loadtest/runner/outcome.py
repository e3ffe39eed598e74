"""Figures of a run: percentiles, by stage, by route, by second; and how punctual the generator was."""

import math
from collections import Counter

from .scenario import LATENCIES

SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999, "p9999": 0.9999, "max": 1}
# A rate has been held if no more than so large a share of the planned requests was not sent, or than are due in so short a
# time: vegeta stops at the end, also where it is late by a moment.
UNSENT_SHARE, UNSENT_SECONDS = 0.01, 0.1


def percentile(ordered, share):
    """The least value that so large a share of all is not above."""
    return ordered[max(1, math.ceil(len(ordered) * share)) - 1]


def percentiles(seconds):
    ordered = sorted(seconds)
    return {name: percentile(ordered, share) * 1000 for name, share in SHARES.items()} if ordered else {}


def figures(plan, routes, played):
    """All figures of what was played, in milliseconds."""
    stages = [stage(one) for one in played]
    sent, failed = sum(one.sent for one in played), sum(one.failed for one in played)
    seconds = sum(one.seconds for one in played)
    errors = sum((one.errors for one in played), Counter())
    return {
        "requests": {
            "planned": sum(one.planned for one in played) if plan["stages"][0]["rate"] else None,
            "sent": sent,
            "failed": failed,
            "error_share": failed / sent if sent else None,
            "per_second": sent / seconds,
        },
        "latency_ms": percentiles(latency for one in played for latency in due_to_end(one)),
        "latency_from_sent_ms": percentiles(latency for one in played for latency in start_to_end(one)),
        "late_ms": percentiles(late for one in played for late in due_to_start(one)),
        "stages": stages,
        "routes": [by_route(place, name, played) for place, name in enumerate(routes) if played[0].due],
        "errors": [{"text": text, "count": count} for text, count in errors.most_common(5)],
        "seconds": by_second(played),
    }


def due_to_end(one):
    """What a client would have waited that asked when it meant to: corrected for coordinated omission."""
    return (end - due for end, due in zip(one.ended, one.due))


def start_to_end(one):
    return (end - start for end, start in zip(one.ended, one.started))


def due_to_start(one):
    """How late the generator was."""
    return (start - due for start, due in zip(one.started, one.due))


def stage(one):
    unsent = one.planned - one.sent if one.planned else 0
    return {
        "rate": one.rate,
        "seconds": one.seconds,
        "planned": one.planned,
        "sent": one.sent,
        "failed": one.failed,
        "is_held": not unsent or unsent <= max(UNSENT_SHARE * one.planned, UNSENT_SECONDS * one.rate),
        "latency_ms": percentiles(due_to_end(one)),
    }


def by_route(place, name, played):
    mine = [(one, index) for one in played for index, route in enumerate(one.route) if route == place]
    statuses = Counter()
    for one in played:
        statuses.update({status: count for (route, status), count in one.statuses.items() if route == name})
    return {
        "name": name,
        "sent": len(mine),
        "failed": sum(one.is_failed[index] for one, index in mine),
        # 0 is no answer.
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
        "latency_ms": percentiles(one.ended[index] - one.due[index] for one, index in mine),
    }


def by_second(played):
    """Requests by the second in which they were due."""
    found, offset = {}, 0
    for one in played:
        for due, end, is_failed in zip(one.due, one.ended, one.is_failed):
            latencies, failed = found.setdefault(int(offset + due), ([], []))
            latencies.append(end - due)
            failed.append(is_failed)
        offset += one.seconds
    return [
        {
            "second": second,
            "sent": len(latencies),
            "failed": sum(failed),
            "p99_ms": percentile(sorted(latencies), 0.99) * 1000,
        }
        for second, (latencies, failed) in sorted(found.items())
    ]


def measured(results, name):
    """The figure of an objective, or nothing."""
    if name in LATENCIES:
        return results["latency_ms"].get(name.removesuffix("_ms"))
    if name == "memory_growth_mib":
        found = results["server"]
        return found["memory_max_mib"] - found["memory_start_mib"] if "memory_max_mib" in found else None
    if name == "cpu_us":
        return results["server"].get(name)
    if name == "reload_failures":
        return results["reloads"]["failed"] if results["reloads"] else None
    return results["requests"][name]
