"""The check of links finds what is planted, and nothing else."""

import subprocess
import tempfile
import unittest
from pathlib import Path

from document import anchors, slug
from links import Repository, misses

OTHER = "# Other\n\n## What it *is* (`x`, y)\n\n## Twice\n\n## Twice\n\n```\n# no heading\n```\n"


class Links(unittest.TestCase):
    """A page among a few files."""

    def check(self, page, *wrong):
        """The page's misses are in these lines, and say this: `2 no heading`."""
        with tempfile.TemporaryDirectory() as root:
            files = {
                "page.md": page,
                "docs/other.md": OTHER,
                "docs/tests/deep.py": "def test_a_thing(): pass\n",
                ".github/workflows/ci.yml": "",
                ".gitignore": "/docs/made\n",
            }
            for name, text in files.items():
                (Path(root) / name).parent.mkdir(parents=True, exist_ok=True)
                (Path(root) / name).write_text(text)
            subprocess.run(["git", "init", "--quiet", root], check=True)
            found = [f"{line} {what} {why}" for line, what, why in misses(Repository(root), "page.md")]
        self.assertEqual(len(found), len(wrong), found)
        for one, words in zip(sorted(found), wrong):
            for word in words.split(" ", 1):
                self.assertIn(word, one)

    def test_what_is_there_is_found(self):
        self.check("# Page\n[a](docs/other.md) [b](docs/other.md#what-it-is-x-y) [c](#page) [d](docs/) ![e](docs/other.md)\n")
        self.check("[over\ntwo lines](docs/other.md#twice-1 \"title\")\n")
        self.check("[`test_a_thing`](docs/tests/deep.py), `docs/other.md`, `docs/tests/*.py`, `docs/other.md --all`\n")
        self.check("[ref]\n\n[ref]: docs/other.md#other\n")

    def test_a_file_that_is_not_there(self):
        self.check("text\n[a](docs/nothing.md)\n", "2 no file")
        self.check("[a](../page.md)\n", "1 no file")
        self.check("[ref]\n\n[ref]: nothing.md\n", "3 no file")
        self.check("[![badge](nothing.svg)](docs/other.md)\n", "1 no file")
        self.check("[![badge](docs/other.md)](nothing.md)\n", "1 no file")

    def test_an_anchor_that_is_not_there(self):
        self.check("[a](docs/other.md#twice-2)\n", "1 no heading")
        self.check("[a](docs/other.md#no-heading)\n", "1 no heading")
        self.check("[a](#page)\n", "1 no heading")
        self.check("[a](docs/tests/deep.py#L1)\n", "1 no heading")

    def test_a_name_that_is_gone(self):
        self.check("[`test_a_thin`](docs/tests/deep.py)\n", "1 names test_a_thin")

    def test_a_path_in_backticks_that_is_not_there(self):
        self.check("`docs/nothing.md` and `docs/tests/*.toml`\n", "1 no file", "1 no file")
        self.check("`docs/nothing --option`\n", "1 no file")

    def test_what_is_no_path_of_ours(self):
        self.check("`a/b`, `docs/made/page.html`, `docs/NAME.md`, `text/plain`, `--data docs/none.md`\n")

    def test_what_is_code_or_comment_is_no_link(self):
        self.check("`[a](nothing.md)`\n\n```\n[a](nothing.md)\n```\n\n    [a](nothing.md)\n\n<!-- [a](nothing.md) -->\n")

    def test_addresses_outside(self):
        self.check("<https://example.com/a> [a](https://example.com) [b](http://127.0.0.1:8080/items) <http://localhost>\n")
        self.check("[a](http://example.com)\n", "1 https")
        self.check("[a](https://example)\n", "1 https")
        self.check("[a](https:/example.com)\n", "1 no address")
        self.check("[a](<https://exa mple.com>)\n", "1 no address")
        self.check("[a](htps://example.com)\n", "1 no address")

    def test_workflows(self):
        self.check("[![ci](../../actions/workflows/ci.yml/badge.svg)](../../actions/workflows/ci.yml)\n")
        self.check("[![ci](../../actions/workflows/cd.yml/badge.svg)](../../actions/workflows/ci.yml)\n", "1 no file")

    def test_slugs_are_those_of_github(self):
        for heading, anchor in {
            "JanusErrors": "januserrors",
            "One secret, one name.": "one-secret-one-name",
            "`POST /-/reload`, again": "post--reload-again",
            "A [link](x.md) & more": "a-link--more",
            "snake_case-and äöü": "snake_case-and-äöü",
        }.items():
            self.assertEqual(slug(heading), anchor)
        self.assertEqual(list(anchors(OTHER)), ["other", "what-it-is-x-y", "twice", "twice-1"])


if __name__ == "__main__":
    unittest.main()
