"""The rules, by promtool: well-formed, each alert with what fires it and what does not, each with its runbook."""

import subprocess
import tempfile
import unittest
from pathlib import Path

import yaml

from chart import one, read, render
from document import anchors

CASES = yaml.safe_load(read("helm/tests/alerts.yaml"))
POD = 'namespace="web",job="janus",pod="janus-{}"'


def groups(*values):
    """The groups of rules that prod has, but that data is old after an hour: eight days take long to evaluate."""
    hour = {"prometheusRule": {"snapshotMaxAgeSeconds": 3600}}
    return one(render(hour, *values, environment="prod"), "PrometheusRule")["spec"]["groups"]


def alerts(of):
    """The alerts of groups by their name."""
    rules = [rule for group in of for rule in group["rules"] if "alert" in rule]
    named = {rule["alert"]: rule for rule in rules}
    assert len(named) == len(rules), "an alert's name is its runbook's heading"
    return named


def promtool(*arguments):
    """Runs promtool and returns whether it is content, and what it says."""
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def series(case):
    """A case's series as promtool takes them."""
    spelled = {
        name.replace("SERIES2", POD.format(2)).replace("SERIES", POD.format(1)): values
        for name, values in case["series"].items()
    }
    # YAML reads 0x20 as a number.
    assert all(isinstance(values, str) for values in spelled.values()), "values are text: quote what begins with 0x"
    return [{"series": name, "values": values} for name, values in spelled.items()]


def test_of(name, rule, case):
    """A case as a test of promtool."""
    expected = []
    if "fires" in case:
        annotations = rule["annotations"] | {"description": case["description"]}
        expected = [{"exp_labels": case.get("labels", {}) | rule["labels"], "exp_annotations": annotations}]
    return {
        "name": f"{name}: {case.get('fires') or case['quiet']}",
        "interval": "1m",
        "input_series": series(case),
        "alert_rule_test": [{"eval_time": case["at"], "alertname": name, "exp_alerts": expected}],
    }


class Alerts(unittest.TestCase):
    """What prod's rules do."""

    def check(self, of, tests):
        """Promtool finds the rules well-formed and these tests true."""
        with tempfile.TemporaryDirectory() as directory:
            rules = Path(directory) / "rules.yaml"
            rules.write_text(yaml.safe_dump({"groups": of}))
            self.assertEqual(promtool("check", "rules", "--lint=all", "--lint-fatal", str(rules))[0], True)
            written = Path(directory) / "tests.yaml"
            content = {"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": tests}
            written.write_text(yaml.safe_dump(content))
            return promtool("test", "rules", str(written))

    def test_each_fires_when_it_must_and_is_quiet_when_not(self):
        of = groups()
        named = alerts(of)
        tests = [test_of(name, named[name], case) for name, cases in CASES.items() for case in cases]
        content, said = self.check(of, tests)
        self.assertTrue(content, said)

    def test_each_has_both_cases(self):
        self.assertEqual(set(CASES), set(alerts(groups())))
        for name, cases in CASES.items():
            for kind in ("fires", "quiet"):
                self.assertTrue(any(kind in case for case in cases), f"{name} has no case that {kind}")

    def test_a_wrong_expectation_fails(self):
        of = groups()
        firing = CASES["JanusErrors"][0]
        wrong = {"quiet": "it fires", "at": firing["at"], "series": firing["series"]}
        content, _ = self.check(of, [test_of("JanusErrors", alerts(of)["JanusErrors"], wrong)])
        self.assertFalse(content)

    def test_native_histograms_tell_the_same(self):
        of = groups({"nativeHistograms": True})
        name = 'http_request_duration_seconds{SERIES,method="GET",route="/items"}'
        # Of schema 0, from the ninth bucket below 1 s: the first ends at 2 ms, the fourth begins at 8 ms.
        values = "{{{{schema:0 offset:-9 buckets:[0 0 0 0]}}}}+{{{{schema:0 count:60 sum:1 offset:-9 buckets:[{}]}}}}x20"
        cases = [
            {**CASES["JanusLatencyBurningFast"][0], "series": {name: values.format("48 0 0 12")}},
            {"quiet": "all in time", "at": "10m", "series": {name: values.format("60 0 0 0")}},
        ]
        rule = alerts(of)["JanusLatencyBurningFast"]
        content, said = self.check(of, [test_of("JanusLatencyBurningFast", rule, case) for case in cases])
        self.assertTrue(content, said)

    def test_how_long_it_must_last_is_the_values(self):
        default = {name: rule["for"] for name, rule in alerts(groups()).items() if "for" in rule}
        other = {name: "7s" for name in default}
        changed = alerts(groups({"prometheusRule": {"for": other}}))
        self.assertEqual({name: rule["for"] for name, rule in changed.items() if "for" in rule}, other)
        self.assertIn("for 7s:", changed["JanusAbsent"]["annotations"]["description"])

    def test_each_has_a_heading_in_the_runbook(self):
        headings = set(anchors(read("docs/runbook.md")))
        for name, rule in alerts(groups()).items():
            address, anchor = rule["annotations"]["runbook_url"].split("#")
            self.assertEqual(address, "docs/runbook.md")
            self.assertIn(anchor, headings, name)


if __name__ == "__main__":
    unittest.main()
