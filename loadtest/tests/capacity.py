"""Shows that docs/capacity.md says what its figures give, and that another table is noticed."""

import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from .servers import ROOT

TOOLS = ()
DOCUMENT = ROOT / "docs" / "capacity.md"


def capacity(*options):
    return subprocess.run([ROOT / "loadtest" / "capacity", *map(str, options)], capture_output=True, text=True)


class Capacity(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.copy = Path(folder.name) / "capacity.md"

    def test_the_document_has_the_tables_that_follow_from_its_figures(self):
        done = capacity("--check")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_another_figure_is_noticed_and_written_right(self):
        text = DOCUMENT.read_text()
        self.copy.write_text(re.sub(r"\| c7i\.large \| 3 \(3\)", "| c7i.large | 2 (2)", text, count=1))
        self.assertNotEqual(self.copy.read_text(), text)
        self.assertEqual(capacity("--check", "--out", self.copy).returncode, 1)
        self.assertEqual(capacity("--out", self.copy).returncode, 0)
        self.assertEqual(self.copy.read_text(), text)

    def test_a_document_without_a_place_for_the_tables_is_refused(self):
        self.copy.write_text("# Something else\n")
        done = capacity("--out", self.copy)
        self.assertEqual(done.returncode, 1)
        self.assertIn("capacity:begin", done.stderr)
