"""A chart of bars: CPU an answer, user and system apart, by server, for each case of steady load."""

from html import escape

WIDTH, LEFT, RIGHT, ROW, HEADING, GAP = 760, 130, 90, 18, 30, 14
STYLE = """
text { font: 12px sans-serif; fill: #222 } .heading { font-weight: bold } .user { fill: #d95f02 } .system { fill: #7570b3 }
.own { font-weight: bold } rect.back { fill: #fff } .grid { stroke: #ddd } .line { fill: none; stroke-width: 1.5 }
.first { stroke: #d95f02 } .second { stroke: #7570b3 } .bound { stroke: #c00; stroke-dasharray: 4 3 }
"""


def picture(title, width, height, content):
    """An SVG that stands alone, on white."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
        f'<rect class="back" width="{width}" height="{height}"/>{content}</svg>\n'
    )


def draw(results):
    """The chart as SVG, or nothing if there is no case of steady load."""
    cases = [case for case in results["cases"].values() if all("median" in found for found in case["peers"].values())]
    if not cases:
        return None
    parts, y = [], legend_height()
    for case in cases:
        drawn, y = draw_case(case, y)
        parts += drawn
    return picture("CPU an answer, by server", WIDTH, y, legend() + "".join(parts))


def legend_height():
    return HEADING


def legend():
    return (
        f'<rect class="user" x="{LEFT}" y="10" width="12" height="12"/><text x="{LEFT + 18}" y="20">user</text>'
        f'<rect class="system" x="{LEFT + 70}" y="10" width="12" height="12"/><text x="{LEFT + 88}" y="20">system</text>'
        f'<text x="{LEFT + 160}" y="20">CPU time of the server, µs an answer; each case has its own scale</text>'
    )


def draw_case(case, y):
    parts = [f'<text class="heading" x="8" y="{y + 20}">{escape(case["title"])}</text>']
    y += HEADING
    scale = (WIDTH - LEFT - RIGHT) / max(found["median"]["cpu_us"] for found in case["peers"].values())
    for peer, found in case["peers"].items():
        median = found["median"]
        user, system = median["user_us"] * scale, median["system_us"] * scale
        own = ' class="own"' if peer == "janus" else ""
        parts.append(
            f'<text{own} x="{LEFT - 8}" y="{y + 12}" text-anchor="end">{escape(peer)}</text>'
            f'<rect class="user" x="{LEFT}" y="{y}" width="{user:.1f}" height="{ROW - 4}"/>'
            f'<rect class="system" x="{LEFT + user:.1f}" y="{y}" width="{system:.1f}" height="{ROW - 4}"/>'
            f'<text{own} x="{LEFT + user + system + 6:.1f}" y="{y + 12}">{median["cpu_us"]:,.2f}</text>'
        )
        y += ROW
    return parts, y + GAP
