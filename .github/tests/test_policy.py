"""That the workflows keep to the policy, and that the policy refuses what does not."""

import dataclasses
import re
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
            ("an expression in", "deploy", 'staging "$DIGEST"', "staging ${{ inputs.digest }}"),
            ("scripts/no-such is not there", "ci", "scripts/msrv", "scripts/no-such"),
            ("staging: deploys, and does not need the load test", "deploy", needs_load, "    # A runner"),
            ("deploys even where", "deploy", needs_load, "    if: ${{ always() }}\n" + needs_load),
            ("deploys without an environment", "deploy", "\n    environment: staging\n", "\n"),
            ("preview: deploys, and does not need", "preview", "    needs: [load-test, publish]", "    if: true"),
            ("a stranger's words", "perf", "  pull_request:\n", "  pull_request:\n  pull_request_target:\n"),
            ("comment: has rights, and runs for a fork's", "perf", same, "true"),
            ("close: has rights, and runs for a fork's", "preview", f"'pull_request' && {same} &&", "'pull_request' &&"),
            ("pull: has rights, and runs for a fork's", "perf", "    if: ${{ inputs.digest != '' }}\n", ""),
            ("not trust the environment production", "deploy", "environment: prod\n", "environment: production\n"),
            ("not trust the environment staging-images", "deploy", "    environment: staging\n    perm",
             "    environment: staging-images\n    perm"),
            ("not trust the environment qa-images", "release", "environment: [staging, prod]", "environment: [staging, qa]"),
            ("not trust the environment staging", "perf", "${{ inputs.environment }}-images", "${{ inputs.environment }}"),
            ("takes a role without id-token", "deploy", "prod\n    permissions:\n      contents: read\n      id-token: write\n",
             "prod\n    permissions:\n      contents: read\n"),
            ("asks for pull-requests: write", "deploy", "      pull-requests: write\n", ""),
            ("vars.DEPLOY_RUNNERS: is used and not in", "deploy", "vars.DEPLOY_RUNNER,", "vars.DEPLOY_RUNNERS,"),
            ("does not carry token", "deploy", ".deploy_role_arn.value", ".token.value"),
        ]:
            with self.subTest(words, workflow=workflow, new=new):
                self.refused(words, workflows=self.planted(workflow, old, new))

    def test_refused_elsewhere(self):
        module, document, outputs = REAL.delivery_module, REAL.document, REAL.outputs
        self.refused("push_environment is not", delivery_module=module.replace('-images"', '-pictures"'))
        self.refused("vars.JANUS_URL: is used and not in", document=document.replace("`vars.JANUS_URL`", ""))
        self.refused("vars.OLD: is in, and nowhere used", document=document + "| `vars.OLD` | |\n")
        self.refused("has no output registry_url", outputs=outputs.replace('output "registry_url"', 'output "registry"'))
        self.refused("the environment dev-images is not in", document=REAL.document.replace("`dev-images`", ""))


class Renovate(unittest.TestCase):
    def test_every_pinned_version_is_found(self):
        found = {(file, version) for file, _, version in policy.renovated(ROOT)}
        table = re.search(r"table='\n(.*?)'\n", REAL.scripts["scripts/tools"], re.DOTALL)[1]
        pinned = {("scripts/tools", row.split()[3]) for row in table.splitlines() if row.split()[3] != "-"}
        addons = re.search(r"table='\n(.*?)'\n", REAL.scripts["infra/addons.sh"], re.DOTALL)[1]
        pinned |= {("infra/addons.sh", row.split()[3]) for row in addons.split("\n") if row}
        for name, text in REAL.workflows.items():
            versions = re.findall(r"^ +(?:\w+_)?version: (v?\d\S*)$", text, re.MULTILINE)
            pinned |= {(f".github/workflows/{name}.yml", version) for version in versions}
        dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
        pinned |= {("Dockerfile", version) for version in re.findall(r"@(\d+\.\d+\.\d+)", dockerfile)}
        self.assertGreater(len(pinned), 20)
        self.assertEqual(pinned - found, set())

    def test_a_go_programs_module_is_told_from_its_folder(self):
        names = {name for file, name, _ in policy.renovated(ROOT) if file == "scripts/tools"}
        modules = {"helm.sh/helm/v4", "github.com/tsenart/vegeta/v12", "github.com/sigstore/cosign/v3", "github.com/anchore/syft"}
        self.assertLessEqual(modules, names)


if __name__ == "__main__":
    unittest.main(verbosity=2)
