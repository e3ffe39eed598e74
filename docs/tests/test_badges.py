"""The badges that the README has by itself say what Cargo.toml says."""

import re
import tomllib
import unittest
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


class Badges(unittest.TestCase):
    """Each says one thing, to eyes and to screen readers."""

    def check(self, badge, name, value):
        """The badge says it everywhere."""
        drawn = (REPOSITORY / "docs" / "badges" / badge).read_text(encoding="utf-8")
        self.assertEqual(re.findall(r"<text[^>]*>([^<]*)<", drawn), [name, value])
        self.assertEqual(re.findall(r'aria-label="([^"]*)"|<title>([^<]*)<', drawn), [(f"{name}: {value}", ""), ("", f"{name}: {value}")])

    def test_they_are_those_of_the_package(self):
        package = tomllib.loads((REPOSITORY / "Cargo.toml").read_text(encoding="utf-8"))["package"]
        self.check("license.svg", "license", package["license"])
        self.check("rust.svg", "rust", f"{package['rust-version']}+")
        self.assertIn(f"Rust {package['rust-version']} or later", (REPOSITORY / "README.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    unittest.main()
