"""Tests reports in a browser: drawings, requests, messages, in every theme and width, with and without scripts."""

import csv
import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("FACEPOISON_BINARY", ROOT / "build/release/facepoison"))
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
AXE = ROOT / "build/report/axe.min.js"
try:
    from playwright.sync_api import sync_playwright
except ImportError:
    sync_playwright = None
HOSTILE = [
    '<script>alert("x")</script>', '"><img src=x onerror=alert(1)>', "{{scripts}}{{style}}", "</script><b>", "Ünïcode",
    "人工", "עברית",
]  # fmt: skip


def report(*arguments):
    done = subprocess.run([BINARY, "--quiet", "report", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def write_run(folder, extractors, people=8):
    """Writes a run folder of invented numbers, with hostile names on request."""
    folder.mkdir(parents=True)
    config = {
        "dataset": "photos", "precision": "fp32", "protected": {"0": []},
        "extractors": [{"name": name, "released": "2020", "licence": name, "identity": {}} for name in extractors],
        "attacks": [{"name": "none", "parts": []}, {"name": "pgd", "parts": [{"surrogates": ["x"]}]}],
    }  # fmt: skip
    (folder / "config.resolved.json").write_text(json.dumps(config))
    (folder / "run.json").write_text(json.dumps({"notes": ["data: 3 people", *extractors[:1]], "date": "2026"}))
    with open(folder / "table.csv", "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow("extractor released attack classifier people n protection low high surrogate".split())
        for name in extractors:
            for attack in ("none", "pgd"):
                out.writerow([name, "2020", attack, "nearest", people, people * 6, 0.25, 0.1, 0.5, "no"])


@unittest.skipUnless(BINARY.exists(), f"{BINARY} is not built")
@unittest.skipUnless(CHROMIUM and sync_playwright, "no Chromium, or no playwright (scripts/setup.sh)")
class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp())
        cls.playwright = sync_playwright().start()
        cls.browser = cls.playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        cls.playwright.stop()
        shutil.rmtree(cls.folder)

    def written(self, *arguments):
        path = self.folder / f"{self.id()}.html"
        report(*arguments, "-o", path)
        return path

    def look(self, path, width=1100, scheme="light", scripts=True):
        """The page in a browser, with its figures drawn; fails on a request, a message or an error."""
        context = self.browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts, bypass_csp=False
        )
        self.addCleanup(context.close)
        page = context.new_page()
        self.asked, self.said = [], []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", lambda dialog: self.said.append(dialog.message))
        page.goto(path.as_uri())
        if scripts and page.locator("figure[data-alt]").count():
            page.wait_for_function("document.documentElement.dataset.drawn", timeout=60000)
        if shown := os.environ.get("FACEPOISON_SHOW"):  # a folder
            page.screenshot(path=f"{shown}/{self._testMethodName}-{width}-{scheme}.png", full_page=True)
        return page

    def check(self, page, path, width):
        self.assertEqual([url for url in self.asked if url != path.as_uri()], [])
        self.assertEqual(self.said, [])
        self.assertLessEqual(page.evaluate("document.documentElement.scrollWidth"), width)
        page.evaluate(AXE.read_text())
        found = page.evaluate("axe.run()")["violations"]
        self.assertEqual([(one["id"], one["nodes"][0]["html"][:200]) for one in found], [])

    def test_studies_wide_and_narrow_light_and_dark(self):
        for study in ("oblivious-lfw", "open-set-lfw", "detection-rendered", "threshold-lfw", "leak-rendered"):
            path = self.written(ROOT / "docs/results" / study)
            self.assertLess(path.stat().st_size, 2_000_000)
            for width, scheme in ((1100, "light"), (1100, "dark"), (320, "light")):
                with self.subTest(study=study, width=width, scheme=scheme):
                    page = self.look(path, width, scheme)
                    self.assertEqual(page.locator("figure svg[role=img]").count(), page.locator("figure").count())
                    self.assertGreater(page.locator("figure").count(), 0)
                    self.check(page, path, width)

    def test_tables_need_no_scripts(self):
        page = self.look(self.written(ROOT / "docs/results/oblivious-lfw"), scripts=False)
        self.assertEqual(page.locator("#table-protection tbody tr").count(), 6)
        self.assertFalse(page.locator(".chart").first.is_visible())
        self.assertIn("1.00 [0.91, 1.00]*", page.locator("#table-protection").inner_text())

    def test_print_has_everything_open(self):
        page = self.look(self.written(ROOT / "docs/results/oblivious-lfw"), scheme="dark")
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        self.assertTrue(page.locator("#config pre").is_visible())
        self.assertEqual(page.evaluate("getComputedStyle(document.body).backgroundColor"), "rgb(255, 255, 255)")
        self.assertGreater(len(page.pdf()), 10_000)

    def test_the_csv_is_the_table(self):
        page = self.look(self.written(ROOT / "docs/results/oblivious-lfw"))
        with page.expect_download() as download:
            page.locator(".download a").click()
        self.assertEqual(download.value.suggested_filename, "protection.csv")
        with open(download.value.path(), newline="") as file:
            rows = list(csv.DictReader(file))
        with open(ROOT / "docs/results/oblivious-lfw/table.csv", newline="") as file:
            self.assertEqual([row["protection"] for row in rows], [row["protection"] for row in csv.DictReader(file)])

    def test_names_are_text(self):
        run = self.folder / "hostile"
        write_run(run, HOSTILE)
        path = self.written(run)
        page = self.look(path)
        for name in HOSTILE:
            self.assertIn(name, page.locator("#table-protection").inner_text())
        self.check(page, path, 1100)

    def test_a_hundred_recognisers_one_person_and_nobody(self):
        for name, extractors, people in (("many", [f"recogniser-{i}" for i in range(100)], 8), ("one", ["a"], 1)):
            write_run(self.folder / name, extractors, people)
            path = self.written(self.folder / name)
            self.check(self.look(path, 320), path, 320)
        write_run(self.folder / "empty", [])
        page = self.look(self.written(self.folder / "empty"))
        self.assertIn("No rows.", page.locator("#protection").inner_text())

    def test_two_runs_side_by_side(self):
        path = self.written(ROOT / "docs/results/top2-lfw", ROOT / "docs/results/oblivious-lfw")
        page = self.look(path)
        self.assertIn("oblivious-lfw", page.locator("#table-runs").inner_text())
        self.assertIn("top2-lfw", page.locator("#table-runs").inner_text())
        self.check(page, path, 1100)


if __name__ == "__main__":
    unittest.main()
