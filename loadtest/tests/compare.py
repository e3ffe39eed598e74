"""Shows that loadtest/compare measures what it says, and that a server of wrong bytes fails it."""

import json
import subprocess
import tempfile
import unittest
from pathlib import Path

from comparison.peers import build

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
            self.assertEqual(peers["janus"]["cpu_ratio_to_janus"], {"median": 1, "min": 1, "max": 1})
            self.assertIn(name, results["noise"])
        verdicts = {goal["number"]: goal["verdict"] for goal in results["goals"]}
        self.assertEqual(list(verdicts), [1, 2, 3, 4, 5, 6, 7, 8, 9])
        # Without nginx, may_minihttp and actix-web there is nothing to compare with.
        self.assertEqual(verdicts[1], "not measured")
        self.assertIn(verdicts[6], ("met", "missed"))
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
