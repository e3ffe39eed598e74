"""What workflows must keep to. Each rule takes the repository as it was read, and yields what is wrong, in a sentence."""

import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

LOAD_TEST = "./.github/workflows/perf.yml"
SAME_REPOSITORY = "github.event.pull_request.head.repo.full_name == github.repository"
RUN_LINES_MAX = 2
FOLDERS = "scripts|helm|infra|benches|fuzz|loadtest"


@dataclass
class Repository:
    """The texts of all that the rules look at, so that a test can plant something else."""

    workflows: dict  # name to text
    actions: dict  # path to text
    environments: list  # of infra/envs
    delivery_module: str  # infra/modules/environment/main.tf
    outputs: str  # infra/envs/dev/outputs.tf
    document: str  # docs/delivery.md
    scripts: dict  # path to text

    @classmethod
    def read(cls, root):
        def texts(pattern):
            return {str(path.relative_to(root)): path.read_text(encoding="utf-8") for path in sorted(root.glob(pattern))}

        files = [path for name in FOLDERS.split("|") for path in (root / name).rglob("*") if path.is_file()]
        executable = [path for path in files if path.stat().st_mode & 0o100]
        return cls(
            workflows={Path(path).stem: text for path, text in texts(".github/workflows/*.yml").items()},
            actions=texts(".github/actions/*/action.yml"),
            environments=sorted(path.name for path in (root / "infra/envs").iterdir() if path.is_dir()),
            delivery_module=(root / "infra/modules/environment/main.tf").read_text(encoding="utf-8"),
            outputs=(root / "infra/envs/dev/outputs.tf").read_text(encoding="utf-8"),
            document=(root / "docs/delivery.md").read_text(encoding="utf-8"),
            scripts={str(path.relative_to(root)): path.read_text(encoding="utf-8", errors="replace") for path in executable},
        )

    def parsed(self):
        # YAML 1.1 takes the key `on` for true.
        return {name: read_yaml(text) for name, text in self.workflows.items()}

    def jobs(self):
        for name, workflow in self.parsed().items():
            for job, body in workflow["jobs"].items():
                yield f"{name}/{job}", workflow, job, body


@functools.cache
def read_yaml(text):
    return yaml.safe_load(text)


def triggers(workflow):
    on = workflow[True]
    return [on] if isinstance(on, str) else list(on)


def needed(jobs, name):
    """The job itself and all that must have ended before it."""
    needs = jobs[name].get("needs", [])
    found = {name}
    for each in [needs] if isinstance(needs, str) else needs:
        found |= needed(jobs, each)
    return found


def regardless(job):
    """Whether it may run although what it needs has not, or has failed."""
    return bool(re.search(r"(always|failure|cancelled)\(\)", str(job.get("if", ""))))


def runs(job):
    return [step["run"] for step in job.get("steps", []) if "run" in step]


def environment(job):
    given = job.get("environment", "")
    return given["name"] if isinstance(given, dict) else given


def environments(repository, workflow, job):
    """The names that an expression for an environment may become: by the matrix, or by what callers give."""
    name = environment(job)
    if "matrix." in name:
        values = job["strategy"]["matrix"]["environment"]
    elif "inputs." in name:
        values = [
            body["with"]["environment"]
            for _, _, _, body in repository.jobs()
            if "environment" in body.get("with", {}) and repository.parsed()[Path(body["uses"]).stem] == workflow
        ]
    else:
        return [name] if name else []
    return [re.sub(r"\$\{\{.*?\}\}", value, name) for value in values]


def actions_are_pinned(repository):
    for where, text in {**repository.workflows, **repository.actions}.items():
        for line in text.splitlines():
            used = re.match(r"\s*(?:- )?uses: *(.*)", line)
            if used and not re.fullmatch(r"\./\S+|[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used[1]):
                yield f"{where}: {used[1]!r} is not pinned by a commit with its version beside it"


def permissions_are_read_only(repository):
    for name, workflow in repository.parsed().items():
        if workflow.get("permissions") != {"contents": "read"}:
            yield f"{name}: the permissions of all jobs are {workflow.get('permissions')} and not contents: read"


def runs_are_bounded(repository):
    for name, workflow in repository.parsed().items():
        if "concurrency" not in workflow:
            yield f"{name}: no concurrency group"
    for where, _, _, job in repository.jobs():
        if "uses" not in job and "timeout-minutes" not in job:
            yield f"{where}: no timeout-minutes"


def checkouts_keep_no_credentials(repository):
    for where, _, _, job in repository.jobs():
        for step in job.get("steps", []):
            is_checkout = step.get("uses", "").startswith("actions/checkout@")
            if is_checkout and step.get("with", {}).get("persist-credentials") is not False:
                yield f"{where}: a checkout without persist-credentials: false"


def shell_is_thin(repository):
    for where, _, _, job in repository.jobs():
        for run in runs(job):
            if len(run.strip().splitlines()) > RUN_LINES_MAX:
                yield f"{where}: {run.splitlines()[0]!r} and more is a script that should be in the repository"
            if "${{" in run:
                yield f"{where}: an expression in {run!r}: shell would run what it becomes; use env"
            for script in re.findall(rf"(?<![\w./-])((?:{FOLDERS})/[\w./-]+)", run):
                if script not in repository.scripts:
                    yield f"{where}: {script} is not there, or not executable"


def deploying(job):
    text = "\n".join(runs(job))
    return "scripts/deploy " in text or "scripts/preview up" in text


def nothing_deploys_before_the_load_test(repository):
    for where, workflow, name, job in repository.jobs():
        takes_role = any(each in repository.environments for each in environments(repository, workflow, job))
        harmless = r"scripts/(cluster-login|preview (down|sweep)) |mkdir |gh pr list "
        only_removes = all(re.match(harmless, run) for run in runs(job))
        if deploying(job) and not takes_role:
            yield f"{where}: deploys without an environment"
        if takes_role and not only_removes:
            before = needed(workflow["jobs"], name) - {name}
            if not any(workflow["jobs"][each].get("uses") == LOAD_TEST for each in before):
                yield f"{where}: deploys, and does not need the load test"
            if regardless(job):
                yield f"{where}: deploys even where what it needs has failed"


def is_kept_from_forks(jobs, name):
    """By a condition of its own, or of a job that must have run before it."""
    condition = str(jobs[name].get("if", ""))
    if any(each in condition for each in (SAME_REPOSITORY, "github.event_name != 'pull_request'", "inputs.digest != ''")):
        return True
    return not regardless(jobs[name]) and any(is_kept_from_forks(jobs, each) for each in needed(jobs, name) - {name})


def forks_get_nothing(repository):
    for name, workflow in repository.parsed().items():
        for trigger in {"pull_request_target", "workflow_run", "issue_comment"} & set(triggers(workflow)):
            yield f"{name}: {trigger} would run a stranger's words with this repository's rights"
    for where, workflow, name, job in repository.jobs():
        if "pull_request" not in triggers(workflow):
            continue
        writes = [key for key, value in job.get("permissions", {}).items() if value == "write"]
        if not (environment(job) or writes or "secrets." in str(job)):
            continue
        if not is_kept_from_forks(workflow["jobs"], name):
            yield f"{where}: has rights, and runs for a fork's pull request too"


def environments_are_those_of_the_infrastructure(repository):
    wanted = {"push": '"${var.environment}-images"', "deploy": "var.environment"}
    for role, expression in wanted.items():
        if not re.search(rf"{role}_environment += {re.escape(expression)}\n", repository.delivery_module):
            yield f"infra/modules/environment: {role}_environment is not {expression}, which the workflows go by"
    trusted = {each: "deploy" for each in repository.environments}
    trusted |= {f"{each}-images": "push" for each in repository.environments}
    for where, workflow, _, job in repository.jobs():
        roles = set(re.findall(r"\.(push|deploy)_role_arn\.value", str(job)))
        names = environments(repository, workflow, job)
        for role in roles:
            if not names:
                yield f"{where}: takes the {role} role without an environment, which no role trusts"
            for name in names:
                if trusted.get(name) != role:
                    yield f"{where}: the {role} role does not trust the environment {name}"
        if roles and job.get("permissions", {}).get("id-token") != "write":
            yield f"{where}: takes a role without id-token: write"


def callers_give_what_is_asked(repository):
    """GitHub does not start a called workflow whose jobs ask for more than the calling job has, even if they are skipped."""
    rank = {"none": 0, "read": 1, "write": 2}
    workflows = repository.parsed()

    def asked(name):
        together = dict(workflows[name].get("permissions", {}))
        for job in workflows[name]["jobs"].values():
            for key, value in job.get("permissions", {}).items():
                together[key] = max(value, together.get(key, "none"), key=rank.get)
        return together

    for where, workflow, _, job in repository.jobs():
        if not job.get("uses", "").startswith("./"):
            continue
        given = job.get("permissions", workflow.get("permissions", {}))
        for key, value in asked(Path(job["uses"]).stem).items():
            if rank[given.get(key, "none")] < rank[value]:
                yield f"{where}: {job['uses']} asks for {key}: {value}, and the job has {given.get(key, 'none')}"


def settings_are_documented(repository):
    used = set(re.findall(r"\b((?:vars|secrets)\.[A-Z_]+)", "\n".join(repository.workflows.values())))
    documented = set(re.findall(r"`((?:vars|secrets)\.[A-Z_]+)`", "\n".join(
        line for line in repository.document.splitlines() if line.startswith("|"))))
    for name in sorted(used ^ documented):
        yield f"{name}: {'is used and not in' if name in used else 'is in, and nowhere used:'} the table of docs/delivery.md"
    for where, workflow, _, job in repository.jobs():
        for name in environments(repository, workflow, job):
            if f"`{name}`" not in repository.document:
                yield f"{where}: the environment {name} is not in docs/delivery.md"


def outputs_reach_github(repository):
    carried = re.search(r"needed=\((.*?)\)", repository.scripts["scripts/github-environment"], re.DOTALL)[1].split()
    made = re.findall(r'^output "(\w+)"', repository.outputs, re.MULTILINE)
    for name in carried:
        if name not in made:
            yield f"scripts/github-environment: Terraform has no output {name}"
    for where, text in repository.workflows.items():
        for name in re.findall(r"fromJSON\(vars\.JANUS_OUTPUTS\)\.(\w+)", text):
            if name not in carried:
                yield f"{where}: JANUS_OUTPUTS does not carry {name}"
    for where in ("deploy", "preview", "publish", "pull-image", "registry-login", "cluster-login"):
        for name in re.findall(r"\$\(output (\w+)\)", repository.scripts[f"scripts/{where}"]):
            if name not in carried:
                yield f"scripts/{where}: JANUS_OUTPUTS does not carry {name}"


RULES = [
    actions_are_pinned, permissions_are_read_only, runs_are_bounded, checkouts_keep_no_credentials, shell_is_thin,
    nothing_deploys_before_the_load_test, forks_get_nothing, environments_are_those_of_the_infrastructure,
    callers_give_what_is_asked, settings_are_documented, outputs_reach_github,
]


def problems(repository):
    return [problem for rule in RULES for problem in rule(repository)]


def renovated(root):
    """What the custom managers of renovate.json find: (file, name, version)."""
    managers = json.loads((root / "renovate.json").read_text(encoding="utf-8"))["customManagers"]
    folders = [root / name for name in ("scripts", "infra", ".github/workflows", ".")]
    files = [str(path.relative_to(root)) for folder in folders for path in folder.iterdir() if path.is_file()]
    for manager in managers:
        for name in files:
            if not any(re.search(pattern[1:-1], name) for pattern in manager["managerFilePatterns"]):
                continue
            text = (root / name).read_text(encoding="utf-8")
            for pattern in manager["matchStrings"]:
                for found in re.finditer(pattern.replace("(?<", "(?P<"), text):
                    values = found.groupdict()
                    yield name, values.get("depName") or manager["depNameTemplate"], values["currentValue"]
