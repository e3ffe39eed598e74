"""The machine: cores, processes and what /proc tells of them."""

import contextlib
import os
import platform
import re
import resource
import socket
import subprocess
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
    changed = run("git", "status", "--porcelain", "--untracked-files=no", cwd=ROOT).strip()
    return {
        "processor": model.group(1) if model else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "commit": run("git", "rev-parse", "--short=12", "HEAD", cwd=ROOT).strip() + (" with changes" if changed else ""),
        "rustc": run("rustc", "--version", cwd=ROOT).strip(),
    }
