"""The server's process: its CPU time and memory, sampled while load runs."""

import os
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from comparison.machine import cpu

from .target import Unreachable, ask_once

PAGE = os.sysconf("SC_PAGE_SIZE")
METRICS = ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds")


@dataclass(frozen=True)
class Sample:
    """The state at one time: since when the processes run, what they have used, what they hold."""

    at: float
    cpu_seconds: float
    memory_bytes: float
    started: tuple


def of_process(pid):
    """Reads /proc of a process of this machine."""

    def sample():
        stat = Path(f"/proc/{pid}/stat").read_text()
        memory = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
        return Sample(time.monotonic(), sum(cpu([pid])), memory, (stat.rpartition(")")[2].split()[19],))

    return sample


def of_metrics(targets):
    """Reads /metrics of every replica."""

    def sample():
        found = [metrics(target) for target in targets]
        totals = [sum(one[name] for one in found) for name in METRICS[:2]]
        return Sample(time.monotonic(), *totals, tuple(one[METRICS[2]] for one in found))

    return sample


def metrics(target):
    text = ask_once(target, "").body.decode(errors="replace")
    found = dict(re.findall(rf"^({'|'.join(METRICS)}) (\S+)$", text, re.MULTILINE))
    if len(found) < len(METRICS):
        raise Unreachable(f"{target.url} has no {' or '.join(name for name in METRICS if name not in found)}")
    return {name: float(value) for name, value in found.items()}


class Watch:
    """Samples once a second within its context. What it cannot read it says, and reads no more."""

    def __init__(self, sample):
        self.take = sample
        self.samples, self.trouble = [], None
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.sample()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        self.sample()

    def run(self):
        while not self.ended.wait(1):
            self.sample()

    def sample(self):
        if self.trouble:
            return
        try:
            self.samples.append(self.take())
        except (OSError, Unreachable) as wrong:
            self.trouble = f"the server's process could not be read: {wrong}"
        else:
            if self.samples[-1].started != self.samples[0].started:
                self.trouble = "what was read is not one process from beginning to end"

    def figures(self, requests):
        """CPU time a request, and memory in MiB; or why there are none."""
        if self.trouble or not requests:
            return {"unmeasured": self.trouble or "no request was sent"}
        used = self.samples[-1].cpu_seconds - self.samples[0].cpu_seconds
        memory = [sample.memory_bytes / 2**20 for sample in self.samples]
        return {"cpu_us": used * 1e6 / requests, "memory_start_mib": memory[0], "memory_max_mib": max(memory)}
