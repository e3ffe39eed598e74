"""A Janus that runs with the chart's own arguments and files, and a Prometheus that scrapes it: every query of the
dashboard and every rule is answered, from classic and from native histograms."""

import http.client
import itertools
import json
import os
import re
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.parse
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml

from chart import container, one, read, render
from document import parse

# What is asked for comes within this time, or never.
PATIENCE_SECONDS = 60

VALUES = {
    "data": {"content": '[{"id":1,"price":1.10}]'},
    "settings": {"hardware": "simulated", "encodings": ["gzip"], "cache-control": "max-age=1", "access-log": False},
    "admin": {"existingSecret": "token"},
    "grafanaDashboard": {"enabled": True},
    "prometheusRule": {"enabled": True, "snapshotMaxAgeSeconds": 3600},
}


def get(address, path):
    """The status and body of an answer."""
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def until(ask):
    """What `ask` returns as soon as it is true; a failure says what it returned last."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.1)
    raise AssertionError(f"not within {PATIENCE_SECONDS} s")


@contextmanager
def running(*command, **how):
    """A program that is ended with the block."""
    process = subprocess.Popen(command, **how)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextmanager
def janus(directory):
    """Starts Janus as the container would be, with /etc/janus in this directory; gives its two addresses."""
    objects = render(VALUES)
    here = lambda text: text.replace("/etc/janus", str(directory))  # noqa: E731
    for volume, name in (("config", "janus"), ("data", "janus-data")):
        (directory / volume).mkdir()
        for file, text in one(objects, "ConfigMap", name)["data"].items():
            (directory / volume / file).write_text(text)
    server = container(objects)
    arguments = [here(argument) for argument in server["args"]]
    for port in server["ports"]:
        arguments = [argument.replace(f"0.0.0.0:{port['containerPort']}", "127.0.0.1:0") for argument in arguments]
    # The kubelet would compute what has no value here.
    variables = {each["name"]: here(each.get("value", "1")) for each in server["env"]}
    log = directory / "log"

    def listening():
        lines = [json.loads(line)["fields"] for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return next((fields for fields in lines if fields["message"] == "listening"), None)

    with log.open("w") as out, running(os.environ["JANUS_PROGRAM"], *arguments, env=variables, stderr=out):
        fields = until(listening)
        yield fields["address"], fields["admin_address"]


@contextmanager
def traffic(address, file):
    """Requests that succeed and that fail, and new data a few times a second, for as long as the block takes."""
    end = threading.Event()

    def ask():
        for number in itertools.count():
            if end.wait(0.05):
                return
            get(address, ("/items", "/items/1", "/items/none", "/")[number % 4])
            if number % 10 == 0:
                file.write_text(json.dumps([{"id": 1, "number": number}]))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


@contextmanager
def prometheus(directory, target, groups, native):
    """A Prometheus that scrapes the target each second and evaluates these rules; gives its address."""
    directory.mkdir()
    (directory / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
    static = {"targets": [target], "labels": {"namespace": "web", "pod": "janus-1"}}
    configuration = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(directory / "rules.yaml")],
        "scrape_configs": [{"job_name": "janus", "static_configs": [static]}],
    }
    (directory / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [
        "prometheus",
        f"--config.file={directory / 'prometheus.yaml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address={address}",
        "--log.level=error",
        *(["--enable-feature=native-histograms"] if native else []),
    ]
    with running(*command):

        def is_ready():
            try:
                return get(address, "/-/ready")[0] == 200
            except OSError:
                return False

        until(is_ready)
        yield address


def api(address, path, **parameters):
    """What Prometheus's API answers."""
    status, body = get(address, f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
    answer = json.loads(body)
    assert status == 200, f"{parameters}: {answer.get('error')}"
    return answer["data"]


def is_number(sample):
    """Whether a sample is a number or a histogram, and not nothing divided by nothing."""
    return "histogram" in sample or sample["value"][1] != "NaN"


def dashboard(native):
    """The dashboard that Grafana would show."""
    objects = render(VALUES, {"nativeHistograms": native})
    return json.loads(one(objects, "ConfigMap", "janus-dashboard")["data"]["janus.json"])


class Live(unittest.TestCase):
    """Queries and rules before a running Janus."""

    @classmethod
    def setUpClass(cls):
        stack = ExitStack()
        cls.addClassCleanup(stack.close)
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cls.data, admin = stack.enter_context(janus(directory))
        until(lambda: get(admin, "/readyz")[0] == 200)
        stack.enter_context(traffic(cls.data, directory / "data" / "items.json"))
        cls.prometheus = {}
        for native in (False, True):
            groups = one(render(VALUES, {"nativeHistograms": native}), "PrometheusRule")["spec"]["groups"]
            place = directory / f"native-{native}"
            cls.prometheus[native] = stack.enter_context(prometheus(place, admin, groups, native))

    def test_janus_takes_what_the_chart_gives_it(self):
        status, _ = get(self.data, "/items")
        self.assertEqual(status, 200)
        connection = http.client.HTTPConnection(self.data, timeout=5)
        connection.request("GET", "/items")
        self.assertEqual(connection.getresponse().headers["cache-control"], "max-age=1")
        connection.close()

    def test_every_query_of_the_dashboard_is_answered(self):
        for native, address in self.prometheus.items():
            queries = [target["expr"] for panel in dashboard(native)["panels"] for target in panel.get("targets", ())]
            self.assertGreater(len(queries), 25)
            for query in queries:
                asked = query.replace("$namespace", "web").replace("$job", "janus").replace("$__rate_interval", "10s")
                self.assertNotIn("$", asked)
                with self.subTest(native=native, query=asked):
                    until(lambda: any(map(is_number, api(address, "query", query=asked)["result"])))

    def test_every_query_of_the_runbook_can_be_asked(self):
        blocks = [block for block in parse(read("docs/runbook.md"))[0] if block.info == "promql"]
        queries = [line for block in blocks for line in block.lines]
        self.assertGreater(len(queries), 5)
        address = self.prometheus[False]
        for query in queries:
            with self.subTest(query=query):
                api(address, "query", query=query)
                for metric in re.findall(r"\b(?:janus|http|process|cpu|hd|fs|md)_\w+", query):
                    until(lambda metric=metric: api(address, "query", query=metric)["result"])

    def test_the_dashboards_choices_are_there(self):
        address = self.prometheus[False]
        for label, value in (("namespace", "web"), ("job", "janus")):
            until(lambda: api(address, f"label/{label}/values", **{"match[]": "janus_build_info"}) == [value])

    def test_every_rule_is_evaluated(self):
        for native, address in self.prometheus.items():

            def rules():
                found = [rule for group in api(address, "rules")["groups"] for rule in group["rules"]]
                return found if all(rule["health"] != "unknown" for rule in found) else None

            for rule in until(rules):
                with self.subTest(native=native, rule=rule["name"]):
                    self.assertEqual(rule["health"], "ok", rule.get("lastError"))
            for record in ("requests_failed", "requests_late"):
                query = f'janus:{record}:ratio_rate5m{{namespace="web",job="janus"}}'
                with self.subTest(native=native, record=record):
                    until(lambda: any(map(is_number, api(address, "query", query=query)["result"])))

    def test_a_query_of_what_is_not_there_is_not_answered(self):
        self.assertEqual(api(self.prometheus[False], "query", query="janus_nothing")["result"], [])


if __name__ == "__main__":
    unittest.main()
