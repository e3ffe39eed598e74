"""Shows that loadtest/compare measures what it says, and that a server of wrong bytes fails it."""

import json
import socket
import subprocess
import tempfile
import time
import types
import unittest
from pathlib import Path

from comparison import goals, report
from comparison.cases import quota_of
from comparison.generators import closed_loop
from comparison.machine import TARGET, Failure, busiest, free_port
from comparison.peers import build
from comparison.wire import PLAIN, Request, get, receive

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("wrk", "h2load")
FLOOR = ROOT / "target" / "peers" / "release" / "floor"

# A server that changes one byte of the body: the floor, with another answer.
LIAR = f"""#!/bin/sh
{{ printf 'HTTP/1.1 200 OK\\r\\n'; sed 's/$/\\r/' "$2/identity.head"; printf 'date: now\\r\\n\\r\\n'; tr 1 7 < "$2/identity.body"; }} > "$0.answer"
exec '{FLOOR}' "$1" "$0.answer"
"""


def compare(*options):
    return subprocess.run([ROOT / "loadtest" / "compare", *map(str, options)], capture_output=True, text=True)


class Compare(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        build()

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.out = self.folder / "figures.md"
        self.short = ("--no-build", "--rounds", 2, "--seconds", 1, "--out", self.out)

    def test_figures_of_all_servers_and_a_verdict_on_each_goal(self):
        self.out.write_text("# Before\n<!-- compare:begin -->\nof another run\n<!-- compare:end -->\nafter\n")
        done = compare(*self.short, "--peers", "floor,floor-again,axum", "--cases", "small,pipelined,cold", "--starts", 1)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        results = json.loads((self.folder / "figures" / "compare.json").read_text())
        self.assertEqual(list(results["cases"]), ["small", "pipelined", "cold"])
        for name in ("small", "pipelined"):
            peers = results["cases"][name]["peers"]
            self.assertEqual(set(peers), {"janus", "floor", "axum", "floor-again"})
            for peer, found in peers.items():
                self.assertEqual(len(found["rounds"]), 2, peer)
                self.assertGreater(found["median"]["cpu_us"], 0, peer)
                self.assertGreater(found["median"]["per_second"], 0, peer)
                self.assertGreater(found["median"]["busy"], 0, peer)
                self.assertLessEqual(found["median"]["awake"], 1, peer)
            self.assertEqual(peers["janus"]["cpu_ratio_to_janus"], {"median": 1, "min": 1, "max": 1})
            self.assertIn(name, results["noise"])
        verdicts = {goal["number"]: goal["verdict"] for goal in results["goals"]}
        self.assertEqual(list(verdicts), list(range(1, 17)))
        # Without nginx, may_minihttp and actix-web there is nothing to compare with.
        self.assertEqual(verdicts[1], "not measured")
        self.assertIn(verdicts[4], ("met", "missed"))
        self.assertIn(verdicts[13], ("met", "missed"))
        self.assertIn("1. NOT MEASURED", done.stdout)
        text = self.out.read_text()
        self.assertTrue(text.startswith("# Before\n") and text.endswith("\nafter\n"), text)
        self.assertNotIn("of another run", text)
        self.assertIn("### Small GET", text)
        self.assertIn("<svg", (self.folder / "figures" / "compare.svg").read_text())

    def test_a_server_of_wrong_bytes_fails_the_run(self):
        liar = self.folder / "liar"
        liar.write_text(LIAR)
        liar.chmod(0o755)
        done = compare(*self.short, "--peers", "floor", "--cases", "small", "--extra", f"liar={liar}")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("liar on /items: 55 bytes that are not the 55 bytes of Janus", done.stderr)
        self.assertFalse(self.out.exists())

    def test_a_file_without_a_place_for_the_results_is_refused_before_anything_is_measured(self):
        self.out.write_text("# Something else\n")
        done = compare(*self.short, "--peers", "floor", "--cases", "small")
        self.assertEqual(done.returncode, 1)
        self.assertIn("compare:begin", done.stderr)
        self.assertNotIn("small 1/2", done.stdout)
        self.assertEqual(self.out.read_text(), "# Something else\n")

    def test_an_unknown_case_is_a_wrong_command_line(self):
        done = compare(*self.short, "--cases", "smal")
        self.assertEqual(done.returncode, 2)
        self.assertIn("'smal' is none of small, conditional", done.stderr)


class Floor(unittest.TestCase):
    """The floor and the closed loop, without Janus."""

    BODY = b"[1,2,3]"
    KEPT = b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n" + BODY
    LAST = KEPT.replace(b"date", b"connection: close\r\ndate")

    @classmethod
    def setUpClass(cls):
        build()

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        TARGET.mkdir(parents=True, exist_ok=True)
        kept, last = Path(folder.name) / "kept", Path(folder.name) / "last"
        kept.write_bytes(self.KEPT)
        last.write_bytes(self.LAST)
        self.port = free_port()
        self.request = Request("/items", (*PLAIN, ("X-Request-Id", "@" * 16)))
        process = subprocess.Popen([FLOOR, f"127.0.0.1:{self.port}", kept, last])
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        end = time.monotonic() + 20
        while True:
            try:
                get(self.port, self.request)
                return
            except ConnectionRefusedError:
                self.assertLess(time.monotonic(), end)
                time.sleep(0.01)

    def test_it_keeps_a_connection_or_closes_it_behind_the_last_answer(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            # A head in two pieces, split within its end.
            head = self.request.head()
            connection.sendall(head[:-2])
            connection.sendall(head[-2:] + head)
            both = connection.makefile("rb").read(2 * len(self.KEPT))
            self.assertEqual(both.count(self.BODY), 2, both)
            connection.sendall(self.request.closing().head())
            last = receive(connection)
            self.assertEqual((last.body, last.headers["connection"]), (self.BODY, "close"))
            self.assertEqual(connection.recv(1), b"")

    def test_its_date_is_todays(self):
        date = get(self.port, self.request).headers["date"]
        now = time.time()
        near = [time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(now - back)) for back in range(10)]
        self.assertIn(date, near)

    def test_the_closed_loop_takes_right_answers_only(self):
        for per_connection in (0, 1, 10):
            load = closed_loop(self.port, self.request, 4, 0.2, per_connection, self.BODY)
            self.assertGreater(load.requests, 0)
            with self.assertRaisesRegex(Failure, "a wrong answer"):
                closed_loop(self.port, self.request, 4, 0.2, per_connection, b"[1,2,4]")


class Judging(unittest.TestCase):
    """What is made of figures, without measuring any."""

    def test_waiting_for_a_core_and_being_throttled_are_no_sleep(self):
        before, after = {"1": (1.0, 0.0), "2": (0.0, 0.0)}, {"1": (1.5, 0.25), "2": (0.1, 0.9)}
        self.assertEqual(busiest(before, after, 1.0), (0.5, 0.75))
        self.assertEqual(busiest(before, after, 1.0, throttled=0.2), (0.5, 0.95))
        self.assertEqual(busiest(before, after, 1.0, throttled=0.5), (0.5, 1.0))

    def test_all_servers_get_one_quota_where_one_of_them_is_idle(self):
        said, settings = [], types.SimpleNamespace(no_quota=None)
        used = {"janus": {"awake": 0.99, "running": 0.9}, "floor": {"awake": 0.7, "running": 0.6}}
        self.assertEqual(quota_of("small", used, settings, said.append), 0.48)
        self.assertIn("limit of floor", said[0])
        settings.no_quota = "not root"
        self.assertIsNone(quota_of("small", used, settings, said.append))
        self.assertIn("not root", said[1])
        used["floor"]["awake"] = 0.95
        self.assertIsNone(quota_of("small", used, settings, said.append))
        self.assertEqual(len(said), 2)

    def test_a_server_that_slept_is_named(self):
        case = {"peers": {name: {"median": {"awake": awake}} for name, awake in (("janus", 0.97), ("floor", 0.6))}}
        self.assertEqual(report.not_saturated(case), ["floor"])

    def test_two_workers_are_judged_only_where_they_had_work(self):
        for awake, ratio, verdict in ((0.95, 1.95, "met"), (0.95, 1.8, "missed"), (0.6, 1.2, "not measured")):
            workers = {"ratio": ratio, "awake_of_1": 0.99, "awake_of_2": awake}
            judged = goals.judge({"workers": {"peers": {"janus": workers}}}, {})
            self.assertEqual(next(goal for goal in judged if goal["goal"].startswith("Two workers"))["verdict"], verdict)

    def test_churn_is_met_below_nginx_and_missed_beside_it(self):
        for own, verdict in ((9.4, "met"), (9.6, "missed")):
            figures = {"janus": own, "nginx-return": 10.0, "floor": 8.0}
            peers = {name: {"median": {"cpu_us": cpu, "awake": 0.5}} for name, cpu in figures.items()}
            judged = goals.judge({"churn": {"peers": peers}}, {})
            churn = next(goal for goal in judged if goal["goal"].startswith("A connection a request"))
            self.assertEqual(churn["verdict"], verdict)
            self.assertIn("awake janus 50%", churn["figure"])
