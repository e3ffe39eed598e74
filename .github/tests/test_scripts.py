"""That scripts which workflows go by do what they say, on repositories that are made for it."""

import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(*command, **options):
    return subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **{"check": False} | options)


def placed(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


class Replay(unittest.TestCase):
    """scripts/replay reads what is planted in another repository's workflow, and runs it."""

    def replayed(self, *arguments, workflow):
        with tempfile.TemporaryDirectory() as place:
            root = Path(place)
            placed(root, ".github/workflows/w.yml", workflow)
            replay = placed(root, "scripts/replay", (ROOT / "scripts/replay").read_text(encoding="utf-8"))
            ended = run(sys.executable, replay, *arguments)
            return ended.returncode, ended.stdout

    WORKFLOW = """
on: push
env: {COLOUR: red, SIZE: large}
jobs:
  second:
    needs: first
    strategy: {matrix: {animal: [cat, dog], include: [{animal: cat, sound: meow}]}}
    env: {COLOUR: green, ANIMAL: "${{ matrix.animal }}"}
    steps:
      - uses: actions/checkout@v0
      - if: matrix.animal == 'cat' && !cancelled()
        run: echo "heard ${{ matrix.sound }}"
      - run: echo "$ANIMAL-$BEFORE $COLOUR $SIZE"
        env: {SIZE: small, BEFORE: "${{ env.SIZE }}"}
  first:
    steps: [{run: echo begins}]
  never:
    if: ${{ inputs.digest != '' }}
    steps: [{run: exit 9}]
  broken:
    needs: second
    steps: [{run: "false; echo went on"}]
"""

    def test_order_matrix_environment_and_what_is_left_out(self):
        code, said = self.replayed("w", "first", "second", "never", workflow=self.WORKFLOW)
        self.assertEqual(code, 0, said)
        self.assertEqual(re.findall(r"^(?:begins|heard.*|.*-large .*)$", said, re.MULTILINE),
                         ["begins", "heard meow", "cat-large green small", "dog-large green small"])
        self.assertIn("left out: actions/checkout@v0: an action of GitHub's", said)
        self.assertIn("left out: w/never: if: ${{ inputs.digest != '' }}", said)

    def test_another_value_of_a_variable(self):
        said = self.replayed("--env", "COLOUR=blue", "w", "second", workflow=self.WORKFLOW)[1]
        self.assertIn("cat-large blue small", said)

    def test_a_failure_ends_it(self):
        code, said = self.replayed("w", "broken", workflow=self.WORKFLOW)
        self.assertEqual(code, 1)
        self.assertIn("failed with 1", said)
        self.assertNotIn("\nwent on", said)

    def test_list_runs_nothing(self):
        code, said = self.replayed("--list", "w", workflow=self.WORKFLOW)
        self.assertEqual(code, 0, said)
        self.assertNotIn("\nbegins\n", said)
        self.assertIn("--- echo begins", said)

    def test_wrong_names(self):
        self.assertIn("there is no workflow x; there are w", self.replayed("x", workflow=self.WORKFLOW)[1])
        self.assertIn("w has no job third; it has second, first", self.replayed("w", "third", workflow=self.WORKFLOW)[1])


class Gates(unittest.TestCase):
    """What scripts/gates makes of what both gates say; that they say the right thing is benches/gate-test's affair."""

    def test_verdicts(self):
        with tempfile.TemporaryDirectory() as place:
            root = Path(place)
            placed(root, "scripts/gates", (ROOT / "scripts/gates").read_text(encoding="utf-8"))
            git = ["git", "-c", "user.name=n", "-c", "user.email=e"]
            run(*git, "init", "-q", cwd=root, check=True)
            for commit in ("base", "head"):
                run(*git, "commit", "-q", "--allow-empty", "-m", commit, cwd=root, check=True)
            for instructions, wall, code, words in [
                (0, 0, 0, ["| Instructions, beside the committed baseline | holds |", "with control | holds |"]),
                (1, 0, 1, ["baseline | **does not hold** |"]),
                (0, 1, 1, ["control | **does not hold** |"]),
                (0, 3, 0, ["control | no verdict: the machine is too noisy |"]),
                (1, 3, 1, ["baseline | **does not hold** |", "no verdict"]),
                (2, 0, 2, ["baseline | **could not be measured** |"]),
                (0, 2, 2, ["control | **could not be measured** |"]),
            ]:
                with self.subTest(instructions=instructions, wall=wall):
                    placed(root, "benches/icount/run", f"#!/bin/sh\necho counted\nexit {instructions}\n")
                    placed(root, "benches/gate", f"#!/bin/sh\necho timed $1\nexit {wall}\n")
                    ended = run(root / "scripts/gates", "--rounds=2", cwd=root)
                    self.assertEqual(ended.returncode, code, ended.stdout)
                    self.assertEqual("::warning::" in ended.stdout, wall == 3)
                    report = (root / "target/gates/report.md").read_text(encoding="utf-8")
                    for each in [*words, "counted\n", "timed --rounds=2\n"]:
                        self.assertIn(each, report)


class Version(unittest.TestCase):
    """scripts/follow-version, in a copy of this repository whose version was raised."""

    def test_all_that_repeats_it_follows(self):
        with tempfile.TemporaryDirectory() as place:
            root = Path(place)
            files = run("git", "ls-files", "-z", cwd=ROOT, check=True).stdout.split("\0")
            files = [name for name in files if (ROOT / name).is_file()]
            run("tar", "--null", "--files-from=-", "-cf", root / "copy.tar", cwd=ROOT, check=True,
                input="\0".join(files))
            run("tar", "-xf", "copy.tar", cwd=root, check=True)
            self.assertEqual(run(root / "scripts/follow-version", "--check").returncode, 0)
            manifest = root / "Cargo.toml"
            text = manifest.read_text(encoding="utf-8")
            manifest.write_text(re.sub(r'^version = ".*"', 'version = "9.8.7"', text, count=1, flags=re.M), encoding="utf-8")
            before = run(root / "scripts/follow-version", "--check")
            self.assertEqual(before.returncode, 1)
            for each in ("Chart.yaml's version", "Chart.yaml's appVersion", "fuzz/Cargo.lock", "benches/icount/Cargo.lock"):
                self.assertIn(each, before.stdout)
            ended = run(root / "scripts/follow-version")
            self.assertEqual(ended.returncode, 0, ended.stdout)
            after = run(root / "scripts/follow-version", "--check")
            self.assertEqual(after.returncode, 0, after.stdout)
            golden = (root / "helm/tests/golden/prod.yaml").read_text(encoding="utf-8")
            self.assertIn('app.kubernetes.io/version: "9.8.7"', golden)


if __name__ == "__main__":
    unittest.main(verbosity=2)
