"""Runs the commands of a document, and compares what they print with what stands there.

Use: commands.py DOCUMENT WHERE... [--incidents FILE]   WHERE: which blocks to run, in their order, in one shell
     commands.py DOCUMENT --list                        only looks whether all blocks can be read, and lists those that
                                                        no test runs

A block begins with ```console WHERE [INCIDENT]. In it `$ ` begins a command, `> ` goes on with it, and all else is what
it prints: `...` stands for anything within a line, a line of `...` alone for any number of lines, and blanks for any
number of blanks. What is shown must be printed; a command that is shown without must succeed. WHERE is

  here       needs nothing but this repository
  server     the same, and goes on in the background, until the next such block or the end
  cluster    needs a cluster with the chart on it
  aws        needs the infrastructure, or an emulator of it
  secrets    needs both, and External Secrets between them
  elsewhere  no test runs it

INCIDENT is a function of the file that --incidents names. It is called first, and brings about what the document then
tells of. Each command has a terminal of its own, so that programs say what they say to people.
"""

import argparse
import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from document import parse

PLACES = ("here", "server", "cluster", "aws", "secrets", "elsewhere")
# Blocks that are no commands.
OTHERS = ("hcl", "json", "mermaid", "promql", "text", "toml", "yaml")
PATIENCE_SECONDS = 150
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>]")


class Wrong(Exception):
    """What does not hold, with its place."""


@dataclass
class Command:
    """A command of a document: where it stands, where it runs, what is to happen before, and what it prints."""

    line: int
    where: str
    incident: str | None
    text: str
    printed: list[str]


def commands(text):
    """All commands of a document, in their order."""
    for block in parse(text)[0]:
        language, *words = (block.info or "").split() or [""]
        if language in OTHERS:
            continue
        if language != "console" or not 1 <= len(words) <= 2 or words[0] not in PLACES:
            raise Wrong(f"{block.line}: a block that no test knows: it begins with ```console and one of {', '.join(PLACES)}")
        found = list(commands_of(block, *words))
        if words[0] == "server" and (len(found) > 1 or not found[0].printed):
            raise Wrong(f"{block.line}: a server is one command, and what it prints tells that it is there")
        yield from found


def commands_of(block, where, incident=None):
    """The commands of a block; only the first has the incident before it."""
    command = None
    for number, line in enumerate(block.lines, block.line):
        if line.startswith("$ "):
            if command:
                yield finished(command)
                incident = None
            command = Command(number, where, incident, line[2:], [])
        elif command is None:
            raise Wrong(f"{number}: a block begins with a command, which begins with `$ `")
        elif line.startswith("> ") and not command.printed:
            command.text += "\n" + line[2:]
        else:
            command.printed.append(line)
    if command is None:
        raise Wrong(f"{block.line}: a block without a command")
    yield finished(command)


def finished(command):
    """The command without the blank lines that part it from the next."""
    while command.printed and not command.printed[-1].strip():
        command.printed.pop()
    return command


def pattern(printed):
    """What a command is to print, as a regular expression for what `plain` gives."""
    return re.compile("".join(map(pattern_of_line, printed)))


def pattern_of_line(line):
    """The same for one line. Dots at its end stand for nothing, too."""
    if line.strip() == "...":
        return r"(?:.*\n)*?"
    return ".*".join(re.escape(part) for part in re.sub(r" \.\.\.$", "...", one_blank(line)).split("...")) + r"\n"


def one_blank(line):
    """The line with one blank for each number of them, and none at its end."""
    return re.sub(r"\s+", " ", line).rstrip()


def plain(output):
    """What was printed, as a reader sees it: without colours, and of a line that was written anew its last state."""
    text = re.sub(r"\r+\n", "\n", ESCAPE.sub("", output.decode("utf-8", "replace")))
    lines = [one_blank(line.rpartition("\r")[2]) for line in text.rstrip().split("\n")]
    return "\n".join(lines) + "\n" if text.strip() else ""


def shown(printed):
    """What a document says that is printed, as text."""
    return "".join(line + "\n" for line in printed)


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
            ["bash", "--noprofile", "--norc"],
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
        self.bash.stdin.write(text + "\n")
        self.bash.stdin.flush()

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
        code = self.ask(f". {self.script} < /dev/null > {terminal.name} 2>&1; echo $? >&{self.answer}")
        if code is None:
            raise Wrong(f"has not ended after {PATIENCE_SECONDS} s; so far:\n{terminal.text()}")
        return code, terminal.end()

    def provoke(self, incidents, incident):
        """Has an incident happen, in a shell within the shell: nothing of it stays in the one that a reader would have."""
        code, output = self.run(f"(set -euo pipefail; . {incidents}; {incident})")
        if code:
            raise Wrong(f"waits for {incident}, which failed ({code}):\n{output}")

    def serve(self, text, printed):
        """Starts a command that goes on, and waits for what it prints first."""
        self.stop()
        terminal = Terminal()
        script = self.script.with_name("server")
        script.write_text(text + "\n")
        self.server = self.ask(f". {script} < /dev/null > {terminal.name} 2>&1 & echo $! >&{self.answer}")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not pattern(printed).match(terminal.text()):
            if time.monotonic() > deadline or not self.lives(self.server):
                raise Wrong(f"is to print\n{shown(printed)}and prints\n{terminal.text()}")
            time.sleep(0.05)

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
        self.stop()
        session = ["--session", str(self.bash.pid)]
        subprocess.run(["pkill", "-TERM", *session], check=False)
        self.bash.stdin.close()
        self.bash.wait()
        deadline = time.monotonic() + 10
        while subprocess.run(["pgrep", *session], stdout=subprocess.DEVNULL, check=False).returncode == 0:
            if time.monotonic() > deadline:
                subprocess.run(["pkill", "-KILL", *session], check=False)
            time.sleep(0.02)
        os.close(self.answers)


def compare(command, code, output):
    """Whether this is what the document says."""
    if not command.printed:
        if code:
            raise Wrong(f"failed ({code}):\n{output}")
    elif not pattern(command.printed).fullmatch(output):
        raise Wrong(f"is to print\n{shown(command.printed)}and prints ({code})\n{output}")


def run(document, places, incidents):
    """Runs a document's commands of these places; how many there were."""
    chosen = [command for command in read(document) if command.where in places]
    with tempfile.TemporaryDirectory() as folder:
        shell = Shell(folder)
        try:
            for command in chosen:
                run_one(shell, document, command, incidents)
        finally:
            shell.close()
    return len(chosen)


def run_one(shell, document, command, incidents):
    """Runs a command, and tells of it."""
    start = time.monotonic()
    try:
        if command.incident:
            shell.provoke(incidents, command.incident)
        if command.where == "server":
            shell.serve(command.text, command.printed)
        else:
            compare(command, *shell.run(command.text))
    except Wrong as wrong:
        raise Wrong(f"{document}:{command.line}: `{command.text}` {wrong}") from None
    first = command.text.splitlines()[0]
    print(f"  {document}:{command.line}: {first} ({time.monotonic() - start:.1f} s)", flush=True)


def read(document):
    """The commands of a file."""
    try:
        return list(commands(Path(document).read_text(encoding="utf-8")))
    except Wrong as wrong:
        raise Wrong(f"{document}:{wrong}") from None


def main():
    """As the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("document")
    parser.add_argument("where", nargs="*", choices=[*PLACES, []])
    parser.add_argument("--incidents")
    parser.add_argument("--list", action="store_true")
    asked = parser.parse_args()
    try:
        if asked.list:
            for command in read(asked.document):
                if command.where == "elsewhere":
                    print(f"  {asked.document}:{command.line}: {command.text}")
        else:
            print(f"{asked.document}: {run(asked.document, asked.where, asked.incidents)} commands print what it says")
    except Wrong as wrong:
        raise SystemExit(wrong) from None


if __name__ == "__main__":
    main()
