"""What Helm makes of the chart: lint, the API's schemas, golden files, and the documents that follow from it."""

import difflib
import itertools
import json
import os
import re
import subprocess
import unittest
from concurrent.futures import ThreadPoolExecutor

import kubernetes_validate
import yaml

from chart import CHART, ENVIRONMENTS, REPOSITORY, helm, read, render, template, values_of

KUBERNETES = ("1.34", "1.35", "1.36", "1.37")

# Their schemas are those of their operators, which a cluster with the CRDs checks (helm/e2e/run).
CUSTOM = {"ServiceMonitor", "PrometheusRule", "ExternalSecret", "SecretStore", "HTTPRoute", "ScaledObject"}

TOGGLES = yaml.safe_load(read("helm/tests/toggles.yaml"))


class Rendering(unittest.TestCase):
    """Every values file with every toggle."""

    def test_lint_is_strict_and_content(self):
        for environment in (None, *ENVIRONMENTS):
            with self.subTest(environment):
                helm("lint", "--strict", str(CHART), *values_of(environment))

    def test_every_combination_is_valid_for_every_kubernetes(self):
        together = list(TOGGLES["together"].values())
        combinations = {name: [values] for group in TOGGLES.values() for name, values in group.items()}
        combinations |= {f"everything, {name}": [*together, values] for name, values in TOGGLES["instead"].items()}
        combinations |= {"as it is": [], "everything": together}
        cases = [(environment, name) for environment in (None, *ENVIRONMENTS) for name in combinations]
        with ThreadPoolExecutor() as pool:
            rendered = pool.map(lambda case: render(*combinations[case[1]], environment=case[0]), cases)
        seen, custom = set(), set()
        for case, objects in zip(cases, rendered, strict=True):
            for thing in objects:
                text = json.dumps(thing, sort_keys=True)
                if text in seen:
                    continue
                seen.add(text)
                with self.subTest(case=case, kind=thing["kind"]):
                    self.assertEqual(thing["metadata"].get("namespace"), "web")
                    if thing["kind"] in CUSTOM:
                        custom.add(thing["kind"])
                        continue
                    for version in KUBERNETES:
                        kubernetes_validate.validate(thing, version, strict=True)
        self.assertEqual(custom, CUSTOM, "each was rendered")
        self.assertGreater(len(seen), 100)

    def test_the_validator_refuses_what_is_wrong(self):
        service = next(thing for thing in render() if thing["kind"] == "Service")
        service["spec"]["portz"] = []
        for version in KUBERNETES:
            with self.assertRaises(kubernetes_validate.ValidationError):
                kubernetes_validate.validate(service, version, strict=True)

    def test_environments_render_what_they_rendered(self):
        for environment in ENVIRONMENTS:
            path = REPOSITORY / "helm" / "tests" / "golden" / f"{environment}.yaml"
            check_written(self, path, template(environment=environment, namespace=f"janus-{environment}"))

    def test_prod_turns_everything_on(self):
        kinds = {thing["kind"] for thing in render(environment="prod")}
        self.assertLessEqual(
            {
                "HorizontalPodAutoscaler",
                "PodDisruptionBudget",
                "NetworkPolicy",
                "ServiceMonitor",
                "PrometheusRule",
                "ExternalSecret",
                "SecretStore",
            },
            kinds,
        )

    def test_names_are_cut_where_kubernetes_ends_them(self):
        for thing in render({"fullnameOverride": "n" * 80}, environment="prod"):
            self.assertLessEqual(len(thing["metadata"]["name"]), 63, thing["kind"])


class Documents(unittest.TestCase):
    """What is written elsewhere and follows from the chart, or the other way about."""

    def test_the_readme_is_that_of_the_values(self):
        command = ["helm-docs", "--chart-search-root", str(CHART), "--dry-run", "--log-level", "error"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        check_written(self, CHART / "README.md", done.stdout.rstrip() + "\n")

    def test_every_value_is_documented_and_in_the_schema(self):
        text = (CHART / "values.yaml").read_text()
        lines = text.splitlines()
        for number, line in enumerate(lines):
            if re.match(r"\s*[A-Za-z]+:\s+\S", line):
                above = reversed(lines[:number])
                comments = list(itertools.takewhile(lambda other: other.lstrip().startswith("#"), above))
                self.assertTrue(any("# -- " in comment for comment in comments), f"values.yaml, line {number + 1}")
        schema = json.loads((CHART / "values.schema.json").read_text())
        check_closed(self, schema, yaml.safe_load(text), "values")

    def test_settings_are_those_of_janus(self):
        documented = set(re.findall(r"^\| `--[^|]*\| `JANUS_[A-Z_]+` \| `([a-z-]+)` \|", read("docs/configuration.md"), re.M))
        schema = json.loads((CHART / "values.schema.json").read_text())
        taken = set(schema["properties"]["settings"]["properties"])
        chart_s = {"listen", "admin-listen", "workers", "drain-delay", "shutdown-timeout", "admin-token-file"}
        self.assertEqual(taken, documented - chart_s)

    def test_the_chart_is_of_this_version(self):
        version = re.search(r'^version = "(.*)"', read("Cargo.toml"), re.M).group(1)
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
        self.assertEqual(chart["appVersion"], version)


def check_written(case, path, expected):
    """What a file holds, or is made to hold by `helm/test --update`."""
    if os.environ.get("JANUS_CHART_UPDATE"):
        path.write_text(expected)
    written = path.read_text() if path.exists() else ""
    difference = difflib.unified_diff(written.splitlines(), expected.splitlines(), str(path), "rendered", lineterm="")
    case.assertEqual(written, expected, "helm/test --update writes it anew:\n" + "\n".join(difference))


def check_closed(case, schema, value, path):
    """Every mapping of the defaults is closed in the schema, and names what the defaults name."""
    if not isinstance(value, dict) or "properties" not in schema:
        return
    case.assertIs(schema.get("additionalProperties"), False, path)
    for key, inner in value.items():
        case.assertIn(key, schema["properties"], path)
        check_closed(case, schema["properties"][key], inner, f"{path}.{key}")


if __name__ == "__main__":
    unittest.main()
