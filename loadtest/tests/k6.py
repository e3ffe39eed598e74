"""Shows that k6, playing the same plan, agrees with loadtest/run."""

import json
import subprocess

from . import scenarios
from .servers import ROOT, Janus, build, planted

TOOLS = ("k6", "vegeta")


def k6(plan, *options):
    command = ["k6", "run", "--no-usage-report", "--quiet", "--address", "127.0.0.1:0", "-e", f"PLAN={plan}", *options]
    return subprocess.run([*command, ROOT / "loadtest" / "k6.js"], capture_output=True, text=True)


class K6(scenarios.Case):
    def plan(self, url, scenario, *options):
        done = subprocess.run([ROOT / "loadtest" / "run", "--json", url, scenario, *options], capture_output=True, text=True)
        self.check_code(done, 0)
        file = self.out / "plan.json"
        file.write_text(done.stdout)
        return file

    def check_both(self, fault, code, missed):
        """Both judge the objectives alike."""
        with planted(fault) as url:
            by_k6 = k6(self.plan(url, self.scenario()))
            by_run = self.run_on(url)
        self.check_code(by_run, code)
        self.assertEqual([name for name, verdict in scenarios.objectives(by_run).items() if verdict == "missed"], missed)
        self.check_code(by_k6, 99 if missed else 0)
        conditions = {"p99_ms": "'p(99)<=1500'", "error_share": "'rate<=0'"}
        for name, condition in conditions.items():
            self.assertIn(f"{'✗' if name in missed else '✓'} {condition}", by_k6.stdout)

    def test_a_good_server(self):
        self.check_both(lambda number: None, 0, [])

    def test_a_server_that_fails(self):
        self.check_both(lambda number: 500 if number % 10 == 0 else None, 1, ["error_share"])

    def test_a_server_that_is_slow(self):
        self.check_both(scenarios.slow_one_time_in_twenty, 1, ["p99_ms"])

    def test_scenarios_on_janus(self):
        build()
        with Janus(items=1000) as janus:
            admin = ("-e", f"ADMIN={janus.url}", "-e", f"TOKEN_FILE={janus.token}")
            for name, options in (("mixed", ()), ("spike", ()), ("reload", admin)):
                # Latencies are for load tests.
                bounds = [f"--objective=p{share}_ms=10000" for share in (50, 99, 999)]
                plan = self.plan(janus.url, name, "--rate", "100", "--duration", "3s", *bounds)
                done = k6(plan, *options)
                self.check_code(done, 0)
                self.assertIn("NOT JUDGED: cpu_us", done.stderr)
                self.assertEqual(json.loads(plan.read_text())["scenario"], name)

    def test_slow_clients_are_refused(self):
        build()
        with Janus(items=10) as janus:
            done = k6(self.plan(janus.url, "slow-clients"))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("slow-clients has clients that read and write byte by byte, which k6 cannot", done.stderr)
