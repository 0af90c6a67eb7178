"""The page of commands: the help texts that ship are the program's, and a change of either is found."""

import sys
import tempfile
import unittest
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
import commands  # noqa: E402

SHIPPED = commands.PAGE.read_text()


@unittest.skipUnless(commands.BINARY.exists(), f"{commands.BINARY} is not built")
class Commands(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.page = Path(folder.name) / "commands.md"

    def call(self, command, text):
        self.page.write_text(text)
        with redirect_stderr(StringIO()) as said:
            code = commands.main([command], self.page)
        return code, said.getvalue()

    def test_the_page_that_ships_has_the_programs_help_texts(self):
        self.assertEqual(
            self.call("check", SHIPPED), (0, ""), "scripts/commands.py write puts the program's help texts into it"
        )

    def test_another_help_text_is_found_and_written_again(self):
        changed = SHIPPED.replace("--dry-run", "--dry-rum", 1).replace("-o,--output TEXT", "-o TEXT")
        self.assertNotEqual(changed, SHIPPED)
        self.assertEqual(self.call("check", changed), (1, "commands: commands.md: differs\n"))
        self.assertEqual(self.page.read_text(), changed)
        self.assertEqual(self.call("write", changed), (0, "commands: commands.md: written\n"))
        self.assertEqual(self.page.read_text(), SHIPPED)

    def test_what_is_written_by_hand_stays(self):
        self.assertEqual(self.call("write", f"{SHIPPED}\nby hand\n"), (0, ""))
        self.assertEqual(self.page.read_text(), f"{SHIPPED}\nby hand\n")

    def test_every_command_has_its_place_once(self):
        gc = next(match for match in commands.MARKER.finditer(SHIPPED) if match.group(1) == "store gc").group()
        for text, why in (
            (SHIPPED.replace(gc, ""), "not have the same commands: store gc"),
            (SHIPPED.replace(gc, gc.replace("help store gc", "help store cg")), "store cg, store gc"),
            (SHIPPED + gc, "two of one command"),
            (SHIPPED.replace(gc, gc.replace("<!-- end -->", "")), "without its <!-- end -->"),
        ):
            for command in ("check", "write"):
                code, said = self.call(command, text)
                self.assertEqual((code, why in said), (1, True), said)
                self.assertEqual(self.page.read_text(), text)


if __name__ == "__main__":
    unittest.main()
