"""The machine: cores, processes and what /proc tells of them."""

import contextlib
import os
import platform
import re
import resource
import socket
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "target" / "compare"
SERVER_CORE = 0
GENERATOR_CORE = 1
TICK = 1 / os.sysconf("SC_CLK_TCK")


class Failure(Exception):
    """What ends the run, in words for whoever started it."""


def take_generator_core():
    """Pins this process, and with it every generator, and lets it open enough sockets."""
    if not {SERVER_CORE, GENERATOR_CORE} <= os.sched_getaffinity(0):
        raise Failure(f"cores {SERVER_CORE} and {GENERATOR_CORE} are needed: server and generator have one each")
    os.sched_setaffinity(0, {GENERATOR_CORE})
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Unsteady(Failure):
    """The machine was too busy with other work for a figure: that case has none, and the others keep theirs."""


@contextlib.contextmanager
def server_core():
    """What is started within runs on the server's core, without another program in between."""
    os.sched_setaffinity(0, {SERVER_CORE})
    try:
        yield
    finally:
        os.sched_setaffinity(0, {GENERATOR_CORE})


def run(*command, **options):
    """Runs a program to its end and returns what it printed."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise Failure(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def free_port():
    """A port of 127.0.0.1 that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu(pids):
    """User and system seconds of these processes, from /proc/PID/stat; it counts in ticks."""
    user = system = 0
    for pid in pids:
        # The name, in parentheses, may hold anything; fields are counted from behind it.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        user += int(fields[11])
        system += int(fields[12])
    return user * TICK, system * TICK


def on_processor(pids):
    """For each thread of these processes the seconds on a processor, and those in which it was ready and had none."""
    found = {}
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            # A thread may end meanwhile.
            with contextlib.suppress(OSError):
                running, waiting, _ = (task / "schedstat").read_text().split()
                found[task.name] = int(running) / 1e9, int(waiting) / 1e9
    return found


def busiest(before, after, seconds, throttled=0.0):
    """Of the thread that ran most: its share of the time on the processor, and in all that it did not sleep, which a
    quota may have forbidden it to run in."""
    spent = [
        (running - before.get(task, (0, 0))[0], waiting - before.get(task, (0, 0))[1])
        for task, (running, waiting) in after.items()
    ]
    running, waiting = max(spent, default=(0, 0))
    return running / seconds, min(1.0, (running + waiting + throttled) / seconds)


class Quota:
    """A control group that gives what is in it a share of one core. A context: what is left in it goes back to the root."""

    PERIOD_US = 10_000

    def __init__(self, share):
        self.share = share
        self.version_2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()
        self.root = Path("/sys/fs/cgroup" if self.version_2 else "/sys/fs/cgroup/cpu")
        self.group = self.root / f"janus-compare-{os.getpid()}"

    @staticmethod
    def missing():
        """Why there can be no quotas here, or nothing."""
        try:
            with Quota(0.5):
                return None
        except OSError as error:
            return f"no CPU quota can be set (root and the cpu controller of cgroups are needed): {error}"

    def __enter__(self):
        quota = int(self.share * self.PERIOD_US)
        if self.version_2:
            (self.root / "cgroup.subtree_control").write_text("+cpu")
        self.group.mkdir(exist_ok=True)
        if self.version_2:
            (self.group / "cpu.max").write_text(f"{quota} {self.PERIOD_US}")
        else:
            (self.group / "cpu.cfs_period_us").write_text(str(self.PERIOD_US))
            (self.group / "cpu.cfs_quota_us").write_text(str(quota))
        return self

    def add(self, pids):
        for pid in pids:
            (self.group / "cgroup.procs").write_text(str(pid))

    def throttled(self):
        """Seconds in which what is in it was ready and had used up its share."""
        text = (self.group / "cpu.stat").read_text()
        unit, digits = (1e6, "throttled_usec") if self.version_2 else (1e9, "throttled_time")
        return int(re.search(rf"^{digits} (\d+)$", text, re.MULTILINE).group(1)) / unit

    def __exit__(self, *_):
        for pid in (self.group / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):
                (self.root / "cgroup.procs").write_text(pid)
        self.group.rmdir()


@dataclass
class Calls:
    """System calls of processes while load is sent, counted by the kernel's tracepoints."""

    total: int = 0
    waits: int = 0


# perf counts in the kernel and hardly slows the server; strace stops it at each call, so that more is ready at each wait.
WAITS = ("epoll_wait", "epoll_pwait", "epoll_pwait2")
TRACEPOINTS = ("raw_syscalls:sys_enter", *(f"syscalls:sys_enter_{name}" for name in WAITS))


@contextlib.contextmanager
def counted_calls(pids):
    """Counts the system calls of these processes within. `None` where perf cannot."""
    if not shutil.which("perf"):
        yield None
        return
    out = TARGET / "perf.csv"
    events = [word for event in TRACEPOINTS for word in ("-e", event)]
    command = ["perf", "stat", "-x,", "-o", out, *events, "-p", ",".join(map(str, pids))]
    perf = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    calls = Calls()
    try:
        yield calls
    finally:
        perf.send_signal(signal.SIGINT)
        perf.wait()
    for line in out.read_text().splitlines():
        count, _, rest = line.partition(",")
        if count.isdigit():
            if "raw_syscalls" in rest:
                calls.total = int(count)
            else:
                calls.waits += int(count)


def user_memory(pids):
    """Bytes of user memory of these processes (Pss: shared pages count by share); the kernel's is not in it."""
    total = 0
    for pid in pids:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += int(re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE).group(1)) * 1024
    return total


def children(pid):
    """The processes that this one has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def describe():
    """What the figures were taken on."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    # The documents are what this writes.
    changed = run("git", "status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs", cwd=ROOT).strip()
    return {
        "processor": model.group(1) if model else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "commit": run("git", "rev-parse", "--short=12", "HEAD", cwd=ROOT).strip() + (" with changes" if changed else ""),
        "rustc": run("rustc", "--version", cwd=ROOT).strip(),
    }
