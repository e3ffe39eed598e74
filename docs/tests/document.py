"""What the tests of the documents need to know of Markdown: code, prose, headings, and the anchors that GitHub makes."""

import re
from dataclasses import dataclass

FENCE = re.compile(r"^( {0,3})(`{3,}|~{3,})(.*)$")
HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.*?)\s*#*$")
INDENTED = re.compile(r"^(?: {4}|\t)\S")


@dataclass
class Block:
    """A block of code: where its first line stands, what its fence says (None where it is indented), and its lines."""

    line: int
    info: str | None
    lines: list[str]


def parse(text):
    """Parts a document: its blocks of code, and its other lines by their number, counted from 1."""
    blocks, prose = [], {}
    fence, indent, before = None, 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        found = FENCE.match(line)
        if fence:
            if found and found[2].startswith(fence) and not found[3].strip():
                fence = None
            else:
                # Within an item of a list, code stands as far in as its fence.
                blocks[-1].lines.append(line[len(line[:indent]) - len(line[:indent].lstrip()) :])
        elif found:
            indent, fence = len(found[1]), found[2]
            blocks.append(Block(number + 1, found[3].strip(), []))
        elif INDENTED.match(line) and (not before.strip() or is_code(blocks, number - 1)):
            if is_code(blocks, number - 1):
                blocks[-1].lines.append(line[4:])
            else:
                blocks.append(Block(number, None, [line[4:]]))
        else:
            prose[number] = line
        before = line
    return blocks, prose


def is_code(blocks, number):
    """Whether this line belongs to an indented block, the last of these."""
    return bool(blocks) and blocks[-1].info is None and blocks[-1].line + len(blocks[-1].lines) == number + 1


def slug(heading):
    """The anchor that GitHub gives a heading: its text in lower case, without punctuation, hyphens for spaces."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


def anchors(text):
    """All anchors of a document. A heading that stands there again is counted: -1, -2."""
    seen = {}
    for line in parse(text)[1].values():
        if found := HEADING.match(line):
            name = slug(found[1])
            seen[name] = seen.get(name, -1) + 1
            yield f"{name}-{seen[name]}" if seen[name] else name
