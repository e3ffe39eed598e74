"""Compares the inputs and outputs that each README lists with those that the code has.

Use: readme.py [--update]   from anywhere; --update writes the lists anew. It needs python-hcl2, which checkov brings.
"""

import json
import pathlib
import re
import sys

import hcl2

INFRA = pathlib.Path(__file__).resolve().parent.parent
MARK = "<!-- from the code, by infra/tests/readme.py --update -->\n"


def plain(text):
    """hcl2 leaves quotes around words, and ${...} around expressions."""
    text = re.sub(r"\s+", " ", str(text)).strip().strip('"')
    text = re.sub(r"^\$\{(.*)\}$", r"\1", text)
    # The members of an object are a dictionary of Python.
    return re.sub(r"'(?:\$\{)?([^'}]*)\}?'", r"\1", text)


def value(default):
    if default is None or default == "null":
        return "`null`"
    return f"`{plain(default) if isinstance(default, str) else json.dumps(default)}`"


def blocks(folder, kind):
    for file in sorted(folder.glob("*.tf")):
        with file.open(encoding="utf-8") as text:
            for block in hcl2.load(text).get(kind, []):
                for name, body in block.items():
                    # Each attribute is a list of its one value.
                    yield plain(name), {key: given[0] for key, given in body.items() if isinstance(given, list)}


def tables(folder):
    """The part of a README that is made from the code."""
    lines = ["", "| Input | Type | Default | |", "|---|---|---|---|"]
    for name, body in blocks(folder, "variable"):
        # A bool has but two values, and its type refuses all others.
        needed = {"type", "description"} | (set() if plain(body.get("type")) == "bool" else {"validation"})
        if missing := needed - body.keys():
            raise SystemExit(f"readme.py: {folder.name}: variable {name} has no {', '.join(sorted(missing))}")
        default = value(body["default"]) if "default" in body else "required"
        kind = plain(body["type"])
        lines.append(f"| `{name}` | {kind} | {default} | {plain(body['description'])} |")
    lines += ["", "| Output | |", "|---|---|"]
    for name, body in blocks(folder, "output"):
        lines.append(f"| `{name}` | {plain(body['description'])} |")
    return "\n".join(lines) + "\n"


def main(update):
    stale = []
    for folder in sorted([*INFRA.glob("modules/*"), *INFRA.glob("envs/*"), INFRA / "bootstrap"]):
        readme = folder / "README.md"
        before = readme.read_text(encoding="utf-8")
        if MARK not in before:
            raise SystemExit(f"readme.py: {readme} has no line {MARK!r}")
        after = before.split(MARK)[0] + MARK + tables(folder)
        if after != before:
            stale.append(str(readme.relative_to(INFRA.parent)))
            if update:
                readme.write_text(after, encoding="utf-8")
    if stale and not update:
        raise SystemExit(f"readme.py: not what the code has: {', '.join(stale)}; infra/tests/readme.py --update writes them")
    print(f"inputs and outputs of the READMEs: {'written' if stale else 'as in the code'}")


main(sys.argv[1:] == ["--update"])
