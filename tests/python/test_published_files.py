"""Tests how scripts/fetch_models.py handles published checkpoints, with a server on the loopback interface, and the
cards' facts about them. FACEPOISON_SHOW=1 prints the messages of each case."""
import contextlib
import hashlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest
import warnings
import zipfile
from pathlib import Path
from unittest import mock

import h5py
import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = Path(__file__).resolve().parent / "fixtures"
sys.path[:0] = [str(ROOT / "scripts"), str(FIXTURES)]
import fetch_models  # noqa: E402
from convert import golden, keras_reader, published  # noqa: E402
from export import fawkes  # noqa: E402
from export.keras_file import read_h5  # noqa: E402
from loopback import WithServer  # noqa: E402
from random_weights import random_keras, random_tensors  # noqa: E402

DATA = np.random.default_rng(0).bytes(300_000)
PAGE = b"<!DOCTYPE html><html><head><title>%s</title></head><body>%s</body></html>"
QUOTA = PAGE % (b"Google Drive - Quota exceeded", b"Too many users have viewed or downloaded this file recently.")
SUMS = {
    "sha256": hashlib.sha256(DATA).hexdigest(),
    "md5": hashlib.md5(DATA).hexdigest(),
    "git_blob": hashlib.sha1(b"blob %d\0" % len(DATA) + DATA).hexdigest(),
}
FACTS = {"file": "net.pth", "bytes": len(DATA), "sha256": SUMS["sha256"]}
# Writes an exporter's files: weights, which hold the hash of their source, and their record.
EXPORTER = """
import hashlib, json, sys
from pathlib import Path
given, name, folder = Path(sys.argv[1]), sys.argv[sys.argv.index("--name") + 1], Path(sys.argv[-1])
weights = hashlib.sha256(given.read_bytes()).hexdigest().encode()
if given.read_bytes().startswith(b"bad"):
    sys.exit("net.py: it is no network")
(folder / f"{name}.pt").write_bytes(weights)
record = {"file": f"./{name}.pt", "sha256": hashlib.sha256(weights).hexdigest(), "golden": {}}
record["source"] = {"words": sys.argv[2:-2]}
(folder / f"{name}.json").write_text(json.dumps(record))
print("exported", given.name)
"""


class Download(WithServer):
    def obtain(self, *urls, without=(), **facts):
        facts = {key: value for key, value in (FACTS | {"urls": urls} | facts).items() if key not in without}
        with contextlib.redirect_stdout(io.StringIO()) as said:
            found = published.obtain(facts, self.cache)
        self.assertEqual((self.cache / "net.pth").read_bytes(), DATA)
        self.assertEqual(found[0], SUMS["sha256"])
        return said.getvalue()

    def refused(self, *urls, **more):
        with self.assertRaises(published.Failed) as failed:
            self.obtain(*urls, **more)
        self.assertFalse((self.cache / "net.pth").exists())
        self.show(str(failed.exception))
        return str(failed.exception)

    def test_a_redirect_is_followed(self):
        there = self.url("/there", DATA)
        said = self.obtain(self.url("/here", lambda handler: handler.head(302, 0, ("Location", there))))
        self.assertEqual([path for path, _ in self.server.asked], ["/here", "/there"])
        self.assertIn("fetching net.pth (0.3 MB) from 127.0.0.1", said)
        self.assertEqual(self.cached(), ["net.pth"])

    def test_the_query_of_an_address_is_sent(self):
        self.obtain(self.url("/download?id=1Bd8&export=download&confirm=t", DATA))

    def test_a_slow_server_is_waited_for(self):
        self.obtain(self.url("/slow", lambda handler: handler.send(DATA, pause=0.02)))
        self.assertEqual(self.ranges(), [None])

    def test_a_connection_that_is_cut_off_is_resumed(self):
        self.obtain(self.url("/cut", lambda handler: handler.send(DATA, sent=100_000)))
        self.assertEqual(self.ranges(), [None, "bytes=100000-", "bytes=200000-"])

    def test_a_connection_that_stalls_is_given_up_and_resumed(self):
        def stall(handler):
            first = len(self.server.asked) == 1
            handler.send(DATA, sent=1000 if first else None, pause=5 if first else 0)

        with mock.patch.object(published, "STALL_SECONDS", 1):
            self.obtain(self.url("/stall", stall))
        self.assertEqual(self.ranges(), [None, "bytes=1000-"])

    def killed_download(self, kill):
        """Kills another process while it downloads; returns the address."""
        url = self.url("/killed", lambda handler: handler.send(DATA, pause=0 if handler.headers["Range"] else 0.1))
        code = """
import json, sys
from pathlib import Path
from convert import published
with published.alone(Path(sys.argv[2])):
    published.obtain(json.loads(sys.argv[1]), Path(sys.argv[2]))
"""
        command = [sys.executable, "-c", code, json.dumps(FACTS | {"urls": [url]}), str(self.cache)]
        killed = subprocess.Popen(command, cwd=ROOT / "scripts", stdout=subprocess.DEVNULL, start_new_session=True)
        part = self.cache / "net.pth.part"
        while not (part.exists() and part.stat().st_size > 30_000):
            self.assertIsNone(killed.poll())
            time.sleep(0.01)
        kill(killed.pid, signal.SIGKILL)
        killed.wait()
        return url

    def test_a_killed_download_is_resumed(self):
        self.obtain(self.killed_download(os.killpg))
        self.assertRegex(self.ranges()[1], r"^bytes=[1-9]\d*-$")
        self.assertEqual(self.cached(), ["lock", "net.pth"])

    def test_a_curl_that_outlives_its_parent_is_waited_for(self):
        url = self.killed_download(os.kill)
        with contextlib.redirect_stderr(io.StringIO()) as said, published.alone(self.cache):
            self.obtain(url)
        self.assertIn("waiting for another download", said.getvalue())
        self.assertEqual(self.ranges(), [None])

    def test_where_a_server_cannot_resume_the_whole_file_comes_again(self):
        (self.cache / "net.pth.part").write_bytes(DATA[:100])
        self.obtain(self.url("/whole", lambda handler: handler.send(DATA, ranges=False)))
        self.assertEqual(self.ranges(), ["bytes=100-", None])

    def test_the_end_of_another_file_is_not_taken_for_the_rest(self):
        (self.cache / "net.pth.part").write_bytes(b"other" * 20)
        self.obtain(self.url("/net", DATA))
        self.assertEqual(self.ranges(), ["bytes=100-", None])
        self.assertEqual(self.cached(), ["net.pth"])

    def test_a_complete_part_is_not_asked_for(self):
        (self.cache / "net.pth.part").write_bytes(DATA)
        self.obtain(self.url("/net"))
        self.assertEqual(self.server.asked, [])

    def test_a_file_without_a_sum_starts_anew(self):
        (self.cache / "net.pth.part").write_bytes(b"other" * 20)
        self.obtain(self.url("/net", DATA), without=["sha256", "bytes"])
        self.assertEqual(self.ranges(), [None])

    def test_a_first_address_that_is_dead(self):
        with socket.socket() as nobody:  # bound, so that no other program listens there
            nobody.bind(("127.0.0.1", 0))
            dead = f"http://127.0.0.1:{nobody.getsockname()[1]}/net"
            said = self.obtain(dead, self.url("/gone"), self.url("/net", DATA))
        self.assertRegex(said, "connect.*; trying the next address")
        self.assertIn("HTTP 404: the file is gone; trying the next address", said)

    def test_what_one_address_left_another_completes(self):
        def cut(handler):
            handler.head(500, 0) if handler.headers["Range"] else handler.send(DATA, sent=50_000)

        self.obtain(self.url("/cut", cut), self.url("/net", DATA))
        self.assertEqual(self.server.asked[-1], ("/net", "bytes=50000-"))

    def test_statuses_are_named(self):
        for status, hint in ((404, "the file is gone"), (403, "refused"), (429, "too many"), (500, "")):
            reason = self.refused(self.url("/no", lambda handler: handler.head(status, 0)))  # noqa: B023
            self.assertIn(f"HTTP {status}{': ' * bool(hint)}", reason)
            self.assertIn(hint, reason)

    def test_a_file_of_another_size(self):
        self.assertIn("larger than the published one of 300,000 bytes", self.refused(self.url("/long", DATA + b"x")))
        reason = self.refused(self.url("/short", DATA[:-1]))
        self.assertIn("is cut short, or another file; it has 299,999 bytes, expected 300,000", reason)
        self.assertEqual(self.cached(), [])
        self.assertIn(f"place the file by hand: {self.cache}/net.pth (300,000 bytes, sha256 {SUMS['sha256']})", reason)

    def test_a_file_of_another_sum(self):
        other = DATA[:-1] + b"x"
        for kind in SUMS:
            facts = {"without": {"sha256"} - {kind}, kind: SUMS[kind]}
            found = {"md5": hashlib.md5(other).hexdigest(), "sha256": hashlib.sha256(other).hexdigest()}.get(kind, "")
            reason = self.refused(self.url("/other", other), **facts)
            self.assertRegex(reason, f"is another file; its {published.SUMS[kind]} is {found}.*, expected {SUMS[kind]}")
            self.assertEqual(self.cached(), [])
            self.obtain(self.url("/net", DATA), **facts)
            (self.cache / "net.pth").unlink()

    def test_pages_in_the_place_of_a_file_are_named(self):
        other = PAGE % (b"Sign in &amp; more", b"")
        for page, said in (
            (QUOTA, r'an HTML page, .*title: "Google Drive - Quota exceeded".*quota for this file is used up'),
            (PAGE % (b"Google Drive - Virus scan warning", b""), "an HTML page.*Virus scan warning"),
            (other, 'an HTML page.*"Sign in & more"'),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "a git-lfs pointer"),
            (b'{"error": "no"}', "JSON text"),
            (b"", "empty"),
        ):
            for facts in ({}, {"without": ["sha256", "bytes"]}):
                self.assertRegex(self.refused(self.url("/page", page), **facts), f"the download is {said}")
                self.assertEqual(self.cached(), [])

    def test_a_page_in_the_place_of_the_rest_loses_nothing(self):
        (self.cache / "net.pth.part").write_bytes(DATA[:1000])
        reason = self.refused(self.url("/page", lambda handler: handler.send(QUOTA, ranges=False)))
        self.assertIn("an HTML page, not the rest of the file", reason)
        self.assertEqual((self.cache / "net.pth.part").read_bytes(), DATA[:1000])

    def test_a_file_placed_by_hand_is_checked_and_used(self):
        (self.cache / "net.pth").write_bytes(DATA)
        self.obtain(self.url("/net"))
        self.assertEqual(self.server.asked, [])
        (self.cache / "net.pth").write_bytes(QUOTA)
        with self.assertRaisesRegex(published.Failed, "net.pth is an HTML page.*move it away"):
            self.obtain(self.url("/net"))
        self.assertEqual((self.cache / "net.pth").read_bytes(), QUOTA)
        self.assertEqual(self.server.asked, [])

    def test_the_sha256_of_first_use_is_asked_of_later_downloads(self):
        facts = {"file": "net.pth", "md5": SUMS["md5"]}
        published.remember(facts, self.cache, "0" * 64)
        published.remember(facts, self.cache, "1" * 64)  # the first one stays
        reason = self.refused(self.url("/net", DATA), md5=SUMS["md5"], without=["sha256"])
        self.assertRegex(reason, f"is not the file that was used first; .*expected {'0' * 64} .*net.pth.sha256")

    def zipped(self):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("pack/net.pth", DATA)
        data = packed.getvalue()
        return data, {
            "url": self.url("/pack.zip", data), "member": "pack/net.pth", "file": "pack.zip", "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }  # fmt: skip

    def test_a_member_of_a_zip(self):
        data, archive = self.zipped()
        self.obtain(self.url("/gone"), archive)
        self.assertEqual(self.cached(), ["net.pth"])
        (self.cache / "net.pth").unlink()
        (self.cache / "pack.zip").write_bytes(data)  # placed by hand: it stays
        asked = len(self.server.asked)
        self.obtain(archive)
        self.assertEqual((len(self.server.asked), self.cached()), (asked, ["net.pth", "pack.zip"]))
        (self.cache / "net.pth").unlink()
        self.assertIn("pack.zip holds no other.pth", self.refused(archive | {"member": "other.pth"}))

    def test_one_process_at_a_time_works_in_the_cache(self):
        entered = threading.Event()

        def enter():
            with published.alone(self.cache):
                entered.set()

        with contextlib.redirect_stderr(io.StringIO()) as said:
            with published.alone(self.cache):
                other = threading.Thread(target=enter)
                other.start()
                self.assertFalse(entered.wait(0.2))
            other.join()
        self.assertTrue(entered.is_set())
        self.assertIn("waiting for another download", said.getvalue())


class Models(WithServer):
    """From the command to the model; the exporter is a short one of this file."""

    def setUp(self):
        super().setUp()
        cards, exporters = self.folder / "cards", self.folder / "exporters"
        cards.mkdir()
        exporters.mkdir()
        (exporters / "net.py").write_text(EXPORTER)
        self.cards = cards
        self.checked = mock.Mock()
        replaced = {"MODELS": self.models, "CARDS": [cards], "EXPORTERS": exporters, "check_exported": self.checked}
        replaced["in_own_process"] = lambda do, *given: do(*given)
        self.enterContext(mock.patch.multiple(fetch_models, **replaced))

    def card(self, name, **facts):
        exporter = facts.pop("exporter", f"net {{file}} --name {name}")
        facts = {"exporter": exporter, "confidence": "A"} | facts
        card = {"licence": f"{name}'s licence", "file": f"{name}.pt", "published": facts}
        (self.cards / f"{name}.json").write_text(json.dumps(card))

    def fetch(self, *words):
        """The exit code and what was printed."""
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
            code = fetch_models.main(list(words))
        self.show(f"$ fetch_models.py {' '.join(words)}\n{out.getvalue()}{err.getvalue()}")
        return code, out.getvalue() + err.getvalue()

    def record(self, name):
        return json.loads((self.models / f"{name}.json").read_text())

    def test_a_model_is_made_and_the_download_deleted(self):
        self.card("a", urls=[self.url("/a", DATA)], **FACTS)
        code, said = self.fetch("a")
        self.assertEqual(code, 0, said)
        self.assertLess(said.index("licence: a's licence"), said.index("fetching"))
        self.assertIn("  exported net.pth\n", said)
        self.assertEqual((self.models / "a.pt").read_text(), SUMS["sha256"])
        source = self.record("a")["source"]
        self.assertEqual((source["exported_sha256"], source["verified"]), (SUMS["sha256"], "sha256"))
        self.assertEqual(self.cached(), ["lock"])
        self.assertEqual(self.fetch("a"), (0, "a: ok\n"))
        self.assertEqual(len(self.server.asked), 1)
        (self.models / "a.pt").write_text("damaged")
        self.assertEqual(self.fetch("a", "--keep")[0], 0)
        self.assertEqual(self.cached(), ["lock", "net.pth"])

    def test_another_embedding_than_the_golden_one_leaves_no_model(self):
        self.card("a", urls=[self.url("/a", DATA)], **FACTS)
        self.checked.side_effect = RuntimeError("it differs")
        code, said = self.fetch("a")
        self.assertEqual(code, 1)
        self.assertIn("missing: a (it differs)", said)
        self.assertEqual([path.name for path in self.models.iterdir()], [".cache"])

    def test_what_lay_there_is_not_deleted(self):
        self.card("a", urls=[self.url("/a")], **FACTS)
        (self.cache / "net.pth").write_bytes(DATA)
        self.assertEqual(self.fetch("a")[0], 0)
        self.assertEqual(self.cached(), ["lock", "net.pth"])

    def test_a_licence_has_to_be_accepted(self):
        self.card("a", urls=[self.url("/a", DATA)], non_commercial=True, **FACTS)
        self.card("b", exporter="net {a} --name b")
        for name in "ab":
            code, said = self.fetch(name)
            self.assertEqual((code, self.server.asked), (1, []))
            self.assertRegex(said, f"licence: {name}'s licence\n.*--accept-licence")
        self.assertEqual(self.fetch("a", "b", "--accept-licence")[0], 0)
        self.assertEqual(len(self.server.asked), 1, "one file, two models")
        self.assertEqual(self.cached(), ["lock"])

    def test_one_that_fails_keeps_no_other_away(self):
        self.card("a", urls=[self.url("/gone")], **FACTS)
        self.card("b", urls=[self.url("/b", DATA)], paper=True, **(FACTS | {"file": "b.pth"}))
        code, said = self.fetch("--all")
        self.assertEqual((code, (self.models / "b.pt").exists()), (1, True))
        self.assertRegex(said, r"\nmissing: a \(http.*: HTTP 404.*by hand: .*net.pth")
        self.assertEqual(self.fetch("--paper"), (0, "b: ok\n"))

    def test_an_exporter_that_is_missing_or_fails(self):
        self.card("a", urls=[self.url("/a", DATA)], exporter="other {file} --name a", **FACTS)
        self.assertIn("scripts/export/other.py, is not part of this version", self.fetch("a")[1])
        self.assertEqual(self.server.asked, [])
        self.card("b", urls=[self.url("/b", b"bad")], file="b.pth")
        for _ in range(2):  # the file stays, unpinned
            code, said = self.fetch("b")
            self.assertEqual((code, len(self.server.asked), self.cached()), (1, 1, ["b.pth", "lock"]))
            self.assertIn("net.py: it is no network", said)

    def test_trust_on_first_use(self):
        self.card("a", urls=[self.url("/a", DATA)], file="net.pth", md5=SUMS["md5"])
        self.card("b", urls=[self.url("/b", DATA)], file="b.pth", confidence="-")
        self.assertEqual(self.fetch("a", "b")[0], 0)
        self.assertEqual([self.record(name)["source"]["verified"] for name in "ab"], ["md5, first use", "first use"])
        for file in ("net.pth", "b.pth"):
            self.assertEqual((self.cache / f"{file}.sha256").read_text(), f"{SUMS['sha256']}  {file}\n")
        self.assertEqual(self.fetch("a", "b")[1], "a: ok\nb: ok\n")
        (self.models / "b.pt").unlink()
        self.url("/b", DATA[:-1] + b"x")
        self.assertIn("is not the file that was used first", self.fetch("b")[1])

    def test_another_cards_file_beside_the_own(self):
        self.card("a", urls=[self.url("/a", DATA)], file="a.pth", git_blob=SUMS["git_blob"])
        self.card("b", urls=[self.url("/b", b"more")], file="b.pth", exporter="net {a} --weights {file} --name b")
        self.assertEqual(self.fetch("b")[0], 0)
        source = self.record("b")["source"]
        self.assertEqual(source["words"], ["--weights", str(self.cache / "b.pth"), "--name", "b"])
        self.assertEqual(source["exported_sha256"], hashlib.sha256(b"more").hexdigest())
        self.assertEqual(source["verified"], "git blob SHA-1, first use")

    def test_what_was_exported_by_hand_is_left(self):
        self.card("a", urls=[self.url("/a", DATA)], **FACTS)
        self.assertEqual(self.fetch("a")[0], 0)
        for sha256, state in (("0" * 64, "by hand"), (SUMS["sha256"], "yes")):
            record = self.record("a")
            record["source"] = {"exported_sha256": sha256}
            (self.models / "a.json").write_text(json.dumps(record))
            code, said = self.fetch("a")
            self.assertEqual((code, "is moved away" in said), (0, state == "by hand"), said)
            self.assertRegex(self.fetch("--list", "a")[1], f"\\| {state} *\\|\n")

    def test_the_list(self):
        self.card("a", urls=[self.url("/a", DATA)], **FACTS)
        self.card("b", urls=[self.url("/b")], file="b.pth", confidence="-")
        code, said = self.fetch("--list")
        self.assertEqual((code, self.server.asked), (0, []))
        cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in said.splitlines()]
        self.assertEqual(cells[0], ["name", "file", "MB", "licence", "from", "verified by", "here"])
        self.assertEqual(cells[2], ["a", "net.pth", "0.3", "a's licence", self.url("/a", DATA), "sha256 (A)", "no"])
        self.assertEqual(cells[3], ["b", "b.pth", "not known", "b's licence", self.url("/b"), "first use (-)", "no"])

    def test_an_unknown_name(self):
        self.card("a", urls=[], **FACTS)
        with contextlib.redirect_stderr(io.StringIO()) as said, self.assertRaises(SystemExit):
            fetch_models.main(["arcfaec"])
        self.assertIn("unknown model 'arcfaec'; there are a\n", said.getvalue())


class Exporters(WithServer):
    """From a checkpoint of random numbers in the published layout to the model, with the committed cards' exporters."""

    def setUp(self):
        super().setUp()
        cards = self.folder / "cards"
        cards.mkdir()
        self.cards = cards
        replaced = {"MODELS": self.models, "CARDS": [cards], "in_own_process": lambda do, *given: do(*given)}
        self.enterContext(mock.patch.multiple(fetch_models, **replaced))

    def publish(self, name, data):
        """The committed card, changed so that its file is the data on the server."""
        card = json.loads((ROOT / f"configs/extractors/{name}.json").read_text())
        facts = {key: value for key, value in card["published"].items() if key not in SUMS}
        facts |= {"urls": [self.url(f"/{name}", data)], "bytes": len(data)}
        facts |= {kind: hashlib.new(kind, data).hexdigest() for kind in ("sha256",) if kind in card["published"]}
        if "git_blob" in card["published"]:
            facts["git_blob"] = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        (self.cards / f"{name}.json").write_text(json.dumps(card | {"published": facts}))

    def fetch(self, *names):
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
            code = fetch_models.main(list(names))
        self.show(out.getvalue() + err.getvalue())
        self.assertEqual(code, 0, out.getvalue() + err.getvalue())
        return out.getvalue()

    def exported(self, name):
        """The record and the module."""
        record = json.loads((self.models / f"{name}.json").read_text())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return record, torch.jit.load(self.models / record["file"])

    def test_clip(self):
        compact = json.loads((FIXTURES / "clip.json").read_text())["shapes"]
        both = {name.replace(".0.", f".{k}."): shape for name, shape in compact.items() for k in range(2)}
        packed = io.BytesIO()
        torch.save(random_tensors(both), packed)
        self.publish("clip", packed.getvalue())
        said = self.fetch("clip")
        self.assertIn("golden output: cosine 1.0000000", said)
        record, _ = self.exported("clip")
        self.assertEqual(record["source"]["exported_sha256"], hashlib.sha256(packed.getvalue()).hexdigest())
        self.assertEqual(record["source"]["verified"], "sha256")
        self.assertTrue((self.models / record["golden"]["file"]).exists())

    def keras(self, arrays, description=None):
        """The file's bytes: a whole model, or weights alone."""
        path = self.folder / "file.h5"
        with h5py.File(path, "w") as file:
            if description:
                file.attrs["model_config"] = json.dumps(description)
            group = file.create_group("model_weights") if description else file
            layers = list(dict.fromkeys(layer for layer, _ in arrays))
            group.attrs["layer_names"] = [layer.encode() for layer in layers]
            for layer in layers:
                names = [name for of, name in arrays if of == layer]
                group.create_group(layer).attrs["weight_names"] = [name.encode() for name in names]
                for name in names:
                    group[layer][name] = arrays[layer, name]
        return path.read_bytes()

    def test_the_papers_robust_webface(self):
        """Its file has only weights, with a head; webface's file describes the network."""
        fixture = json.loads((FIXTURES / "keras.json").read_text())
        plain = random_keras(fixture["layouts"]["fawkes-v0.3"])
        robust = {key: array * np.float32(1.01) for key, array in plain.items()}
        self.publish("webface", self.keras(plain, fixture["descriptions"]["fawkes-v0.3"]))
        head = {("dense_1", "dense_1/kernel:0"): np.ones((4, 2), np.float32)}
        data = self.keras(robust | head)
        self.publish("webface-robust", data)
        said = self.fetch("webface-robust")
        self.assertIn(f"took {len(plain)} of the network's {len(plain)} arrays, and left out 1", said)
        record, module = self.exported("webface-robust")
        self.assertEqual(record["source"]["exported_sha256"], hashlib.sha256(data).hexdigest())
        self.assertEqual(record["source"]["exported_from"], "cp-robust-10.ckpt")
        self.assertEqual(record["source"]["verified"], "git blob SHA-1, first use")

        for file, data in (("low_extract.h5", "/webface"), ("other.ckpt", None)):
            (self.folder / file).write_bytes(self.server.pages[data] if data else self.keras(head))
        with contextlib.redirect_stderr(io.StringIO()) as said, self.assertRaises(SystemExit) as left:
            fawkes.main([str(self.folder / "low_extract.h5"), "--weights", str(self.folder / "other.ckpt"), "-o", "no"])
        self.assertEqual(left.exception.code, 4)
        self.assertIn("other.ckpt holds none of the network's weights: it has dense_1/kernel, ...", said.getvalue())

        whole = self.folder / "whole.h5"
        whole.write_bytes(self.keras(robust, fixture["descriptions"]["fawkes-v0.3"]))
        description, weights = read_h5(whole)
        wanted = golden.golden_output(keras_reader.read_keras(description, weights), "webface", record)
        np.testing.assert_allclose(golden.golden_output(module, "webface", record), wanted, rtol=1e-4, atol=1e-6)


class Cards(unittest.TestCase):
    """Compares the committed cards with the notes of public text about their files."""

    def setUp(self):
        self.cards = {name: fetch_models.read_card(name) for name in fetch_models.names_of_all()}
        self.cards = {name: card for name, card in self.cards.items() if "published" in card}

    def test_each_says_what_fetching_needs(self):
        for name, card in self.cards.items():
            with self.subTest(name):
                files = fetch_models.files_of(card)
                self.assertTrue(files, "an exporter takes a file")
                words = card["published"]["exporter"].split()
                self.assertEqual(words[words.index("--name") + 1] if "--name" in words else words[0], name)
                self.assertTrue(Path(fetch_models.exporter_command(card, files)[1]).is_file())
                for facts in files.values():
                    self.assertLessEqual({"file", "urls", "confidence"}, facts.keys())
                    kind = published.sum_kind(facts)
                    lengths = {"sha256": 64, "md5": 32, "git_blob": 40}
                    self.assertRegex(facts[kind] if kind else "", r"^[0-9a-f]{%d}$" % lengths.get(kind, 0))
                    self.assertEqual(kind is None, facts["confidence"] == "-")
                    self.assertEqual(kind in ("md5", "git_blob"), facts["confidence"] == "C")
                restricted = re.search(r"non-commercial|BY-NC|academic research", card["licence"])
                self.assertEqual(bool(restricted), any(facts.get("non_commercial") for facts in files.values()))

    def test_they_say_what_was_found(self):
        photos = Path(os.environ.get("FACEPOISON_REAL_PHOTOS", ""))
        notes = photos.parents[1] / "reference/checkpoints.md" if len(photos.parts) > 2 else photos
        if not notes.is_file():
            self.skipTest("FACEPOISON_REAL_PHOTOS names no folder beside which ../../reference/checkpoints.md lies")
        text = notes.read_text()
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
        copies = {published.sums_of(path, ["sha256"])["sha256"] for path in photos.parent.glob("weights/*")}
        compared = 0
        for name, card in self.cards.items():
            facts = card["published"]
            if "urls" not in facts or facts.get("sha256") in copies:  # the sums of files that are here were computed
                continue
            with self.subTest(name):
                found = facts.get(published.sum_kind(facts), "LowKey's Backbone_")
                (row,) = [row for row in rows if found in row[3] or row[0].startswith(found)]
                self.assertEqual(row[5].strip("–-")[:1] or "-", facts["confidence"].strip("-") or "-")
                # A row of two files has two sizes and two sums, in the order of their names.
                at = next((k for k, part in enumerate(row[3].split(" / ")) if found in part), 0)
                size = (row[2].split(" / ") + [""] * 3)[at] if " / " in row[2] else row[2]
                self.assertEqual(size.strip("–"), str(facts.get("bytes", "")))
                for address in facts["urls"]:
                    self.check_address(address, row, rows, text)
                compared += 1
        self.assertGreater(compared, 20)

    def check_address(self, address, row, rows, text):
        if isinstance(address, dict):
            (pack,) = [one for one in rows if address["sha256"] in one[3]]
            self.assertEqual((pack[0], pack[2]), (address["file"], str(address["bytes"])))
            self.assertIn(address["member"].split("/")[-1], row[0])
            address = address["url"]
        known = text.replace("GH/", "https://github.com/").replace(" `", "/")
        if found := re.match(r"https://huggingface\.co/(.*)/resolve/([^/]*)/(.*)", address):
            repository, revision, path = found.groups()
            self.assertIn(f"HF {repository}" + (f"@{revision}" if revision != "main" else ""), row[1])
            self.assertIn(path if "/" in path else path.split(".")[0], row[0] + row[1])
        elif found := re.match(r"https://drive\.usercontent\.google\.com/download\?id=(\w+)&", address):
            self.assertIn(f"GD {found[1]}", row[1])
        elif "/openaipublic." in address:
            self.assertIn(address.replace(row[3], "SHA256"), text)
        else:
            self.assertIn(address.rsplit("/", 1)[0].replace("/raw/main", ""), known)


if __name__ == "__main__":
    unittest.main()
