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
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from document import parse
from shell import Shell, Wrong, one_blank

PLACES = ("here", "server", "cluster", "aws", "secrets", "elsewhere")
# Blocks that are no commands.
OTHERS = ("hcl", "json", "mermaid", "promql", "text", "toml", "yaml")


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


def shown(printed):
    """What a document says that is printed, as text."""
    return "".join(line + "\n" for line in printed)


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
            said = shell.serve(command.text, pattern(command.printed).match)
            if said is not None:
                raise Wrong(f"is to print\n{shown(command.printed)}and prints\n{said}")
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
