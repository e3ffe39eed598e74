"""That the workflows keep to the policy, and that the policy refuses what does not."""

import dataclasses
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import policy

ROOT = Path(__file__).resolve().parents[2]
REAL = policy.Repository.read(ROOT)


class Policy(unittest.TestCase):
    def test_the_workflows_keep_to_it(self):
        self.assertEqual(policy.problems(REAL), [])

    def refused(self, words, **changes):
        found = policy.problems(dataclasses.replace(REAL, **changes))
        self.assertTrue(any(words in problem for problem in found), f"not refused as {words!r}: {found}")

    def planted(self, workflow, old, new, count=1):
        """The workflows with one thing changed in one of them."""
        text = REAL.workflows[workflow]
        self.assertIn(old, text)
        return REAL.workflows | {workflow: text.replace(old, new, count)}

    def test_refused(self):
        checkout = re.search(r"actions/checkout@\w{40}", REAL.workflows["ci"])[0]
        needs_load = "    needs: load-test\n    # A runner"
        same = policy.SAME_REPOSITORY
        for words, workflow, old, new in [
            ("not pinned", "ci", f"{checkout} # v7.0.1", "actions/checkout@v7"),
            ("not pinned", "ci", f"{checkout} # v7.0.1", checkout),
            ("and not contents: read", "ci", "permissions:\n  contents: read", "permissions: write-all"),
            ("no concurrency group", "release", "concurrency:\n  group: release\n  cancel-in-progress: false\n", ""),
            ("no timeout-minutes", "ci", "    timeout-minutes: 20\n", ""),
            ("persist-credentials", "ci", "        with:\n          persist-credentials: false\n", ""),
            ("should be in the repository", "ci", "- run: scripts/msrv", "- run: |\n          a\n          b\n          c"),
            ("an expression in", "deploy", 'scripts/deploy staging "$DIGEST"', "scripts/deploy staging ${{ inputs.digest }}"),
            ("scripts/no-such is not there", "ci", "scripts/msrv", "scripts/no-such"),
            ("staging: deploys, and does not need the load test", "deploy", needs_load, "    # A runner"),
            ("deploys even where", "deploy", needs_load, "    if: ${{ always() }}\n" + needs_load),
            ("deploys without an environment", "deploy", "\n    environment: staging\n", "\n"),
            ("preview: deploys, and does not need", "preview", "    needs: [load-test, publish]", "    if: true"),
            ("a stranger's words", "perf", "  pull_request:\n", "  pull_request:\n  pull_request_target:\n"),
            ("comment: has rights, and runs for a fork's", "perf", same, "true"),
            ("close: has rights, and runs for a fork's", "preview", f"github.event_name == 'pull_request' && {same} &&", ""),
            ("pull: has rights, and runs for a fork's", "perf", "    if: ${{ inputs.digest != '' }}\n", ""),
            ("does not trust the environment production", "deploy", "    environment: prod\n", "    environment: production\n"),
            ("does not trust the environment staging-images", "deploy", "\n    environment: staging\n", "\n    environment: staging-images\n"),
            ("does not trust the environment qa-images", "release", "environment: [staging, prod]", "environment: [staging, qa]"),
            ("does not trust the environment staging", "perf", "${{ inputs.environment }}-images", "${{ inputs.environment }}"),
            ("takes a role without id-token", "deploy", "    environment: prod\n    permissions:\n      contents: read\n      id-token: write\n",
             "    environment: prod\n    permissions:\n      contents: read\n"),
            ("asks for pull-requests: write", "deploy", "      pull-requests: write\n", ""),
            ("vars.DEPLOY_RUNNERS: is used and not in", "deploy", "vars.DEPLOY_RUNNER,", "vars.DEPLOY_RUNNERS,"),
            ("does not carry token", "deploy", ".deploy_role_arn.value", ".token.value"),
        ]:
            with self.subTest(words, workflow=workflow, new=new):
                self.refused(words, workflows=self.planted(workflow, old, new))

    def test_refused_elsewhere(self):
        self.refused("push_environment is not", delivery_module=REAL.delivery_module.replace("-images\"", "-pictures\""))
        self.refused("vars.JANUS_URL: is used and not in", document=REAL.document.replace("`vars.JANUS_URL`", ""))
        self.refused("vars.OLD: is in, and nowhere used", document=REAL.document + "| `vars.OLD` | |\n")
        self.refused("has no output registry_url", outputs=REAL.outputs.replace('output "registry_url"', 'output "registry"'))
        self.refused("the environment dev-images is not in", document=REAL.document.replace("`dev-images`", ""))


class Renovate(unittest.TestCase):
    def test_every_pinned_version_is_found(self):
        found = {(file, version) for file, _, version in policy.renovated(ROOT)}
        table = re.search(r"table='\n(.*?)'\n", REAL.scripts["scripts/tools"], re.DOTALL)[1]
        pinned = {("scripts/tools", row.split()[3]) for row in table.splitlines() if row.split()[3] != "-"}
        addons = re.search(r"table='\n(.*?)'\n", REAL.scripts["infra/addons.sh"], re.DOTALL)[1]
        pinned |= {("infra/addons.sh", row.split()[3]) for row in addons.split("\n") if row}
        for name, text in REAL.workflows.items():
            pinned |= {(f".github/workflows/{name}.yml", version) for version in re.findall(r"\bversion: (\S+)$|_version: (\S+)$", text, re.MULTILINE) for version in version if version[:1].isdigit() or version[:1] == "v"}
        pinned |= {("Dockerfile", version) for version in re.findall(r"@(\d+\.\d+\.\d+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"))}
        self.assertGreater(len(pinned), 20)
        self.assertEqual(pinned - found, set())

    def test_a_go_programs_module_is_told_from_its_folder(self):
        names = {name for file, name, _ in policy.renovated(ROOT) if file == "scripts/tools"}
        self.assertLessEqual({"helm.sh/helm/v4", "github.com/tsenart/vegeta/v12", "github.com/sigstore/cosign/v3", "github.com/anchore/syft"}, names)


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
        self.assertIn("cat-large blue small", self.replayed("--env", "COLOUR=blue", "w", "second", workflow=self.WORKFLOW)[1])

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
            for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "base"], ["commit", "-q", "--allow-empty", "-m", "head"]):
                run("git", "-c", "user.name=n", "-c", "user.email=e", *command, cwd=root, check=True)
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
            files = run("git", "ls-files", "-z", cwd=ROOT, check=True).stdout.split("\0")[:-1]
            run("tar", "--null", "--files-from=-", "-cf", root / "copy.tar", cwd=ROOT, check=True, input="\0".join(files))
            run("tar", "-xf", "copy.tar", cwd=root, check=True)
            self.assertEqual(run(root / "scripts/follow-version", "--check").returncode, 0)
            manifest = root / "Cargo.toml"
            manifest.write_text(re.sub(r'^version = ".*"', 'version = "9.8.7"', manifest.read_text(encoding="utf-8"), count=1, flags=re.M),
                                encoding="utf-8")
            before = run(root / "scripts/follow-version", "--check")
            self.assertEqual(before.returncode, 1)
            for each in ("Chart.yaml's version", "Chart.yaml's appVersion", "fuzz/Cargo.lock", "benches/icount/Cargo.lock"):
                self.assertIn(each, before.stdout)
            ended = run(root / "scripts/follow-version")
            self.assertEqual(ended.returncode, 0, ended.stdout)
            after = run(root / "scripts/follow-version", "--check")
            self.assertEqual(after.returncode, 0, after.stdout)
            self.assertIn('app.kubernetes.io/version: "9.8.7"', (root / "helm/tests/golden/prod.yaml").read_text(encoding="utf-8"))


def run(*command, **options):
    return subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **{"check": False} | options)


def placed(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


if __name__ == "__main__":
    unittest.main(verbosity=2)
