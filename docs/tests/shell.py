"""A shell with a terminal for each command, as the one in which a reader would run them."""

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time
from pathlib import Path

PATIENCE_SECONDS = 150
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>]")


class Wrong(Exception):
    """What does not hold, with its place."""


def one_blank(line):
    """The line with one blank for each number of them, and none at its end."""
    return re.sub(r"\s+", " ", line).rstrip()


def plain(output):
    """What was printed, as a reader sees it: without colours, and of a line that was written anew its last state."""
    text = re.sub(r"\r+\n", "\n", ESCAPE.sub("", output.decode("utf-8", "replace")))
    lines = [one_blank(line.rpartition("\r")[2]) for line in text.rstrip().split("\n")]
    return "\n".join(lines) + "\n" if text.strip() else ""


class Terminal:
    """A terminal of its own for a command, and what was printed there."""

    def __init__(self):
        self.master, self.slave = os.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        self.name = os.ttyname(self.slave)
        self.output = bytearray()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        """Reads until nobody has the terminal open any more."""
        while True:
            try:
                got = os.read(self.master, 65536)
            except OSError:
                return
            self.output += got

    def text(self):
        """What was printed so far."""
        return plain(bytes(self.output))

    def end(self):
        """What was printed up to here, where the command has ended. A child may still have the terminal."""
        mark = b"\x1b[?end"
        os.write(self.slave, mark)
        while mark not in self.output:
            time.sleep(0.005)
        os.close(self.slave)
        return plain(bytes(self.output).partition(mark)[0])


class Shell:
    """One bash, in which command after command runs, and remembers what the ones before have set."""

    def __init__(self, folder):
        self.script = Path(folder) / "command"
        self.answers, self.answer = os.pipe()
        self.bash = subprocess.Popen(
            # Whoever started this in the background may have it ignore interrupts, and bash could not undo that.
            ["env", "--default-signal=INT", "bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            # It tells of jobs that end; what commands say is on their terminals.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            pass_fds=[self.answer],
            start_new_session=True,
            env=os.environ | {"TERM": "dumb", "PAGER": "cat"},
        )
        os.close(self.answer)
        self.server = None
        # Jobs have process groups of their own, so that what a command has started ends with it.
        self.send("set -m")

    def send(self, text):
        """Has bash read a line."""
        try:
            self.bash.stdin.write(text + "\n")
            self.bash.stdin.flush()
        except BrokenPipeError:
            raise Wrong("has ended the shell") from None

    def ask(self, text):
        """The answer of a line that writes a number to the pipe; None if it takes too long."""
        self.send(text)
        got = b""
        while not got.endswith(b"\n"):
            if not select.select([self.answers], [], [], PATIENCE_SECONDS)[0]:
                return None
            part = os.read(self.answers, 100)
            if not part:
                raise Wrong("has ended the shell")
            got += part
        return int(got)

    def run(self, text):
        """Runs a command; its exit code and what it has printed."""
        terminal = Terminal()
        self.script.write_text(text + "\n")
        code = self.ask(f". {self.script} < /dev/null > {terminal.name} 2>&1 {self.answer}>&-; echo $? >&{self.answer}")
        if code is None:
            raise Wrong(f"has not ended after {PATIENCE_SECONDS} s; so far:\n{terminal.text()}")
        return code, terminal.end()

    def provoke(self, incidents, incident):
        """Has an incident happen, in a shell within the shell: nothing of it stays in the one that a reader would have."""
        code, output = self.run(f"(set -euo pipefail; . {incidents}; {incident})")
        if code:
            raise Wrong(f"waits for {incident}, which failed ({code}):\n{output}")

    def serve(self, text, is_up):
        """Starts a command that goes on, until what it prints shows that it is up; what it printed if that does not come."""
        self.stop()
        terminal = Terminal()
        script = self.script.with_name("server")
        script.write_text(text + "\n")
        self.server = self.ask(f". {script} < /dev/null > {terminal.name} 2>&1 {self.answer}>&- & echo $! >&{self.answer}")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_up(terminal.text()):
            if time.monotonic() > deadline or not self.lives(self.server):
                return terminal.text()
            time.sleep(0.05)
        return None

    def lives(self, group):
        """Whether a job is there."""
        return self.ask(f"kill -0 -- -{group} 2> /dev/null; echo $? >&{self.answer}") == 0

    def stop(self):
        """Ends the server, as Ctrl-C would."""
        if self.server:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.server, signal.SIGINT)
            self.ask(f"wait {self.server}; echo $? >&{self.answer}")
            self.server = None

    def close(self):
        """Ends all that was started, by its session: that is ours alone."""
        with contextlib.suppress(Wrong):
            self.stop()
        session = ["--session", str(self.bash.pid)]
        subprocess.run(["pkill", "-TERM", *session], check=False)
        with contextlib.suppress(BrokenPipeError):
            self.bash.stdin.close()
        self.bash.wait()
        deadline = time.monotonic() + 10
        while subprocess.run(["pgrep", *session], stdout=subprocess.DEVNULL, check=False).returncode == 0:
            if time.monotonic() > deadline:
                subprocess.run(["pkill", "-KILL", *session], check=False)
            time.sleep(0.02)
        os.close(self.answers)
