"""Commands of a document are run as they stand, and what they print is compared."""

import os
import tempfile
import unittest
from pathlib import Path

import shell
from commands import pattern, run
from shell import Wrong, plain

INCIDENTS = 'flood() { echo "water $LEVEL" > "$FOLDER/flood"; LEVEL=gone; }\nfails() { echo no; false; echo later; }\n'


def console(where, *lines):
    """A document with one block."""
    return "\n".join([f"```console {where}", *lines, "```", ""])


class Commands(unittest.TestCase):
    """Documents that tell the truth, and others."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        os.environ["FOLDER"] = folder.name

    def holds(self, document, *places):
        """All of it is as the document says; how many commands there were."""
        page, incidents = self.folder / "page.md", self.folder / "incidents.sh"
        page.write_text(document)
        incidents.write_text(INCIDENTS)
        return run(str(page), places or ("here", "server"), str(incidents))

    def wrong(self, document, *words):
        """It is not, and all these words are said."""
        with self.assertRaises(Wrong) as caught:
            self.holds(document)
        for word in words:
            self.assertIn(word, str(caught.exception))

    def test_what_is_shown_is_printed(self):
        self.assertEqual(self.holds(console("here", "$ echo one; echo two", "one", "two", "", "$ true")), 2)

    def test_another_output(self):
        self.wrong(console("here", "$ echo one", "two"), "page.md:2", "two", "one")
        self.wrong(console("here", "$ echo one; echo two", "one"), "page.md:2")
        self.wrong(console("here", "$ true", "one"), "page.md:2")
        self.wrong(console("here", "$ true", "$ echo one", "two"), "page.md:3")

    def test_dots_stand_for_what_varies(self):
        self.holds(console("here", "$ echo pod-7f9 1/1", "pod-... 1/1"))
        self.holds(console("here", "$ seq 5", "1", "...", "5"))
        self.holds(console("here", "$ echo one", "...", "one", "..."))
        self.wrong(console("here", "$ echo pod-7f9 0/1", "pod-... 1/1"))
        self.wrong(console("here", "$ seq 5", "1", "...", "6"))
        # A point is a point.
        self.wrong(console("here", "$ echo axb", "a.b"))

    def test_blanks_are_blanks(self):
        self.holds(console("here", "$ printf 'a   b\\t c  \\n'", "a b c"))
        self.wrong(console("here", "$ echo ab", "a b"))

    def test_what_is_shown_without_output_succeeds(self):
        self.holds(console("here", "$ echo anything"))
        self.wrong(console("here", "$ echo said; false"), "failed (1)", "said")
        self.holds(console("here", "$ sh -c 'echo why; exit 3'", "why"))

    def test_errors_are_output(self):
        self.holds(console("here", "$ echo to-people >&2", "to-people"))

    def test_commands_share_a_shell(self):
        self.holds(console("here", "$ x=5; f() {", "> echo $((x + $1))", "> }", "$ f 2", "7"))

    def test_commands_have_a_terminal_and_no_input(self):
        self.holds(console("here", "$ test -t 1 && cat", "$ printf '\\033[1mbold\\033[0m 1 %%\\r2 %%\\n'", "2 %"))

    def test_only_the_places_that_are_asked_for(self):
        self.assertEqual(self.holds(console("cluster", "$ false"), "here"), 0)
        self.assertEqual(self.holds(console("cluster", "$ true") + console("aws", "$ true"), "cluster", "aws"), 2)

    def test_a_server_goes_on_until_the_next(self):
        # Without the trap, bash goes on after an interrupt that comes when the program it waits for has just ended.
        loop = "trap 'exit 130' INT; while sleep 0.05; do date +%N > $FOLDER/alive; done"
        grows = "a=$(cat $FOLDER/alive); for i in 1 2 3 4 5 6 7 8 9; do sleep 0.1; [ $a = $(cat $FOLDER/alive) ] || break; done; [ $i != 9 ]"
        first = console("server", f"$ echo up; {loop}", "up")
        self.holds(first + console("here", "$ until [ -s $FOLDER/alive ]; do sleep 0.02; done", f"$ {grows}"))
        self.wrong(first + console("server", "$ echo two; sleep 60", "two") + console("here", f"$ sleep 0.1; {grows}"), "failed")

    def test_a_server_that_ends_or_says_something_else(self):
        self.wrong(console("server", "$ echo no", "up"), "is to print", "no")

    def test_an_incident_comes_first(self):
        self.holds(console("here", "$ export LEVEL=high") + console("here flood", "$ cat $FOLDER/flood $LEVEL", "water high", "..."))
        self.holds(console("here", "$ export LEVEL=high") + console("here flood", "$ echo $LEVEL", "high"))
        self.wrong(console("here fails", "$ true"), "fails", "no")
        self.wrong(console("here unknown", "$ true"), "unknown")

    def test_a_command_that_does_not_end(self):
        patience, shell.PATIENCE_SECONDS = shell.PATIENCE_SECONDS, 0.3
        self.addCleanup(setattr, shell, "PATIENCE_SECONDS", patience)
        self.wrong(console("here", "$ echo begun; sleep 60"), "has not ended", "begun")

    def test_a_command_that_ends_the_shell(self):
        self.wrong(console("here", "$ exit 0", "$ true"), "ended the shell")
        self.wrong(console("server", "$ echo up; sleep 60", "up") + console("here", "$ kill -KILL $$", "$ true"), "ended the shell")

    def test_what_is_started_ends_with_the_document(self):
        self.holds(console("here", "$ sleep 60 & echo $! > $FOLDER/pid"))
        pid = int((self.folder / "pid").read_text())
        with self.assertRaises(ProcessLookupError):
            os.kill(pid, 0)

    def test_blocks_that_no_test_would_run(self):
        self.wrong("text\n\n    $ indented\n", "page.md:3")
        self.wrong("```sh\ntrue\n```\n", "page.md:2")
        self.wrong("```\ntrue\n```\n", "page.md:2")
        self.wrong("```console\n$ true\n```\n", "page.md:2")
        self.wrong(console("somewhere", "$ true"), "page.md:2")
        self.wrong(console("here", "output", "$ true"), "page.md:2")
        self.wrong(console("here"), "page.md:2")
        self.wrong(console("server", "$ true", "$ sleep 60", "up"), "page.md:2")
        self.wrong(console("server", "$ sleep 60"), "page.md:2")
        self.assertEqual(self.holds("```promql\nup == 0\n```\n"), 0)

    def test_patterns(self):
        self.assertEqual(plain(b"\x1b[32mgreen\x1b[0m  \r\r\n\r\nend\r\n\r\n"), "green\n\nend\n")
        self.assertTrue(pattern(["a ... b", "...", "c"]).fullmatch("a 1 2 b\nx\ny\nc\n"))
        self.assertFalse(pattern(["a ... b"]).fullmatch("a \nb\n"))


if __name__ == "__main__":
    unittest.main()
