"""Whether what the documents refer to is there: links and their anchors, files in backticks, tests by their name.

Use: links.py [ROOT]   looks at all Markdown that git knows or would take; names each miss, and fails if there is one

- A link leads to a file of the repository, and an anchor to a heading there.
- A link whose text is one name in backticks, [`a_name`](file), leads to a file that has this name: so a document cannot
  name a test that is gone.
- What stands in backticks and begins with a folder of the repository is a file or folder there, unless git ignores it.
  CAPITALS in it stand for something else, and so does *.
- An address outside is looked at and not asked: https, a host, no blanks.
"""

import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from document import anchors, parse

CODE = re.compile(r"(`+)(.+?)\1")
LINK = re.compile(r"(?<!\\)\[((?:[^\[\]]|\[[^\]]*\]\([^)]*\))*)\]\(\s*(<[^>]*>|[^()\s]*(?:\([^()\s]*\)[^()\s]*)*)(?:\s+\"[^\"]*\")?\s*\)")
DEFINITION = re.compile(r"^ {0,3}\[([^\]]+)\]:\s*(\S+)")
AUTOLINK = re.compile(r"(?<!\()<(https?:[^>]*)>")
COMMENT = re.compile(r"<!--.*?-->", re.S)
PATH = re.compile(r"[\w.*-]+(/[\w.*-]+)+/?")
NAME = re.compile(r"[A-Za-z]\w*_\w+")
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
# What GitHub answers itself, as seen from a file in the root: the state of a workflow.
WORKFLOW = re.compile(r"\.\./\.\./actions/workflows/([\w.-]+\.ya?ml)(/badge\.svg)?")


class Repository:
    """The files that git knows or would take."""

    def __init__(self, root):
        self.root = Path(root).resolve()
        listed = self.git("ls-files", "--cached", "--others", "--exclude-standard", "-z")
        self.files = {name for name in listed.split("\0") if name and (self.root / name).exists()}
        self.folders = {str(parent) for name in self.files for parent in PurePosixPath(name).parents if str(parent) != "."}

    def git(self, *arguments):
        """What git says."""
        return subprocess.run(["git", "-C", self.root, *arguments], capture_output=True, text=True, check=False).stdout

    def has(self, path):
        """Whether there is such a file or folder; `*` stands for anything within a name."""
        path = path.rstrip("/")
        if path in self.files or path in self.folders:
            return True
        parts = path.split("/")
        return "*" in path and any(
            len(name.split("/")) == len(parts) and all(map(fnmatch, name.split("/"), parts))
            for name in self.files | self.folders
        )

    def ignores(self, path):
        """Whether git would leave it out, as what is made by a build."""
        return bool(self.git("check-ignore", path))

    def text(self, path):
        """A file's text."""
        return (self.root / path).read_text(encoding="utf-8")


def outside(target):
    """What is wrong with an address outside of the repository, if anything."""
    address = urlsplit(target)
    if address.scheme == "mailto":
        return None
    host = address.netloc.rpartition(":")[0] or address.netloc
    if address.scheme not in ("https", "http") or not host or re.search(r"[\s<>]", target):
        return "is no address"
    if host not in LOOPBACK and (address.scheme != "https" or not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", host)):
        return "is not https with the name of a host"
    return None


def inside(repository, page, words, target):
    """What is wrong with a link to a file of the repository, if anything."""
    path, _, anchor = unquote(target).partition("#")
    if found := WORKFLOW.fullmatch(path):
        path = f".github/workflows/{found[1]}"
    else:
        path = str(PurePosixPath(page).parent / path) if path else page
    path = normal(path)
    if path is None or not repository.has(path):
        return "leads to no file"
    if anchor and (path not in repository.files or anchor not in anchors(repository.text(path))):
        return f"leads to no heading of {path}"
    name = re.fullmatch(r"`([^`]+)`", words.strip())
    if name and NAME.fullmatch(name[1]) and path in repository.files:
        if not re.search(rf"(?<!\w){re.escape(name[1])}(?!\w)", repository.text(path)):
            return f"names {name[1]}, which is not in {path}"
    return None


def normal(path):
    """The path without `.` and `..`; None if it leaves the repository."""
    parts = []
    for part in path.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def quoted(repository, page, code):
    """What is wrong with what stands in backticks, if it is meant as a file."""
    # Of a command, only its name.
    path = re.sub(r"(?<![A-Za-z])[A-Z][A-Z]+(?![A-Za-z])", "*", code.split()[0] if code.split() else "")
    if not PATH.fullmatch(path) or path.split("/")[0] not in repository.folders:
        return None
    beside = normal(f"{PurePosixPath(page).parent}/{path}")
    if repository.has(path) or repository.has(beside or path) or repository.ignores(path):
        return None
    return "is no file here"


def misses(repository, page):
    """Each reference of a page that leads nowhere: its line, what it says, and what is wrong."""
    _, prose = parse(repository.text(page))
    # A link or a comment may go on in the next line: lines are put together, and told apart again by their offset.
    text = "\n".join(prose.get(number, "") for number in range(1, max(prose, default=0) + 1))
    text = COMMENT.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
    line_of = lambda offset: text.count("\n", 0, offset) + 1  # noqa: E731
    for found in CODE.finditer(text):
        if wrong := quoted(repository, page, found[2]):
            yield line_of(found.start()), found[0], wrong
    for line, words, target in links(text, line_of):
        # An address begins with its scheme; what has none is a file.
        wrong = outside(target) if re.match(r"[a-z][a-z0-9+.-]*:", target) else inside(repository, page, words, target)
        if wrong:
            yield line, target, wrong


def links(text, line_of):
    """All links and images: their line, their words, and where they lead."""
    # What stands in backticks is no link, but a link's words may stand in them: their brackets are masked.
    masked = CODE.sub(lambda found: re.sub(r"[\[\]()<>]", "\x00", found[0]), text)
    pending = [(masked, 0)]
    while pending:
        part, start = pending.pop()
        for found in LINK.finditer(part):
            yield line_of(start + found.start()), found[1], found[2].strip("<>")
            # An image within a link, as a badge is.
            pending.append((found[1], start + found.start(1)))
    for found in AUTOLINK.finditer(masked):
        yield line_of(found.start()), "", found[1]
    for number, line in enumerate(masked.split("\n"), 1):
        if found := DEFINITION.match(line):
            yield number, found[1], found[2].strip("<>")


def pages(repository):
    """All Markdown of the repository."""
    return sorted(name for name in repository.files if name.endswith((".md", ".md.gotmpl")))


def main(root="."):
    """Looks at all of it."""
    repository = Repository(root)
    found = [(page, *miss) for page in pages(repository) for miss in sorted(misses(repository, page))]
    for page, line, what, wrong in found:
        print(f"{page}:{line}: {what} {wrong}", file=sys.stderr)
    if found:
        raise SystemExit(1)
    print(f"{len(pages(repository))} pages: what they refer to is there")


if __name__ == "__main__":
    main(*sys.argv[1:])
