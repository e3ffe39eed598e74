"""The chart as its tests see it: rendered by Helm, and read as YAML."""

import json
import subprocess
import sys
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
CHART = REPOSITORY / "helm" / "janus"
ENVIRONMENTS = ("dev", "staging", "prod")
# What the tests of the documents know of Markdown.
sys.path.append(str(REPOSITORY / "docs" / "tests"))


class Refused(Exception):
    """Helm's own words on values that it does not take."""


def helm(*arguments):
    """Runs Helm and returns what it prints."""
    done = subprocess.run(["helm", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(done.stderr + done.stdout)
    return done.stdout


def values_of(environment):
    """The arguments for an environment's values, or none for the defaults."""
    return ["--values", str(CHART / f"values-{environment}.yaml")] if environment else []


def template(*values, environment=None, namespace="web", more=()):
    """The text that the chart renders to, with these values (each a mapping, the later ones win)."""
    sets = [word for mapping in values for word in ("--set-json", json.dumps(mapping))]
    return helm("template", "janus", str(CHART), "--namespace", namespace, *values_of(environment), *sets, *more)


def render(*values, **how):
    """The objects that the chart renders to; `how` is as for `template`."""
    text = template(*values, **how)
    return [thing for thing in yaml.safe_load_all(text) if thing]


def read(path):
    """A file of the repository."""
    return (REPOSITORY / path).read_text()


def one(objects, kind, name=None):
    """The only object of a kind (and name)."""
    found = [thing for thing in objects if thing["kind"] == kind and name in (None, thing["metadata"]["name"])]
    assert len(found) == 1, f"{kind} {name}: {len(found)} of them"
    return found[0]


def container(objects):
    """The container of the Deployment."""
    return one(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]
