"""The verdict: each objective beside its figure, and whether the run can be believed."""

from .outcome import measured
from .scenario import AT_LEAST, LATENCIES, OBJECTIVES

MET, MISSED, NONE = "met", "missed", "no verdict"
NOT_JUDGED = "not judged"


def judge(plan, results):
    """The verdict with its objectives and, where it is none, the reasons.

    Another rate than the stated one proves nothing, whatever the figures. A latency that is missed and would not have been
    had the generator been in time is its own doing.
    """
    reasons = unheld(results)
    is_held = not reasons
    reasons += [trouble for part in (results["reloads"], results["slow"]) if part for trouble in part["troubles"]]
    objectives = []
    for one in plan["objectives"]:
        name, bound, figure = one["name"], one["bound"], measured(results, one["name"])
        verdict = NOT_JUDGED
        if figure is None:
            if not one["is_local"]:
                reasons.append(f"{name} could not be measured")
        elif is_held:
            if figure >= bound if name in AT_LEAST else figure <= bound:
                verdict = MET
            elif name in LATENCIES and results["latency_from_sent_ms"][name.removesuffix("_ms")] <= bound:
                reasons.append(f"{name} is missed only because the generator sent late: this machine is too busy to tell")
            else:
                verdict = MISSED
        objectives.append(one | {"unit": OBJECTIVES[name], "figure": figure, "verdict": verdict})
    is_missed = any(one["verdict"] == MISSED for one in objectives)
    return {"verdict": MISSED if is_missed else NONE if reasons else MET, "reasons": reasons, "objectives": objectives}


def unheld(results):
    """The stages whose rate the generator could not hold."""
    found = [
        f"the generator could not hold {one['rate']:,} requests a second: {one['sent']:,} of {one['planned']:,} were sent"
        for one in results["stages"]
        if not one["is_held"]
    ]
    return found if results["requests"]["sent"] else [*found, "no request was sent"]


def phrase(objective):
    """An objective in words: what was found, and by how much it is missed."""
    name, bound, unit = objective["name"], objective["bound"], objective["unit"]
    sign = "at least" if name in AT_LEAST else "at most"
    goal = f"{name}: {sign} {amount(bound)}{unit and ' ' + unit}"
    if objective["figure"] is None:
        return f"{goal}, not measured"
    text = f"{goal}, found {amount(objective['figure'])}"
    if objective["verdict"] == MISSED and bound:
        text += f", {objective['figure'] / bound:.2f} x that"
    return text


def amount(value):
    """Three digits that count."""
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.3g}"
