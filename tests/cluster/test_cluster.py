"""Runs an experiment on a real Slurm and in a real Snakemake. Whatever happens to the workers, the table must equal
one process's."""

import os
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

import slurm
from experiment import BINARY, ROOT, run_alone, table_in, write_config

SUBMIT = str(ROOT / "scripts/slurm/submit.sh")
SNAKEMAKE = ROOT / "build/snakemake/bin/snakemake"
WITHOUT_LOCKS = os.environ.get("WITHOUT_LOCKS", str(ROOT / "build/release/tests/libwithout_locks.so"))


class InFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        shared = tempfile.TemporaryDirectory(dir="/dev/shm")  # another file system than the runs'
        self.addCleanup(shared.cleanup)
        self.store = Path(shared.name) / "store"

    @property
    def run_folder(self):
        return self.folder / "runs/shared/latest"

    def script(self, name, text):
        file = self.folder / name
        file.write_text(f"#!/bin/bash\n{text}\n")
        file.chmod(0o755)
        return str(file)

    def without_locks(self):
        """A facepoison with its store on a file system that refuses flock()."""
        return self.script("without-locks", f'LD_PRELOAD={WITHOUT_LOCKS} exec {BINARY} "$@"')

    def snakemake(self, *options, facepoison=BINARY, environment=None):
        return subprocess.run(
            [SNAKEMAKE, "-s", ROOT / "scripts/snakemake/Snakefile", *options, "--config", "experiment=shared.json",
             "workers=2", f"options=--store {self.store}", f"facepoison={facepoison}"],
            cwd=self.folder, capture_output=True, text=True, timeout=300, env=environment,
        )  # fmt: skip


@unittest.skipUnless(SNAKEMAKE.exists(), "Snakemake is not in build/snakemake; .ci/run installs it there")
class InSnakemake(InFolder):
    def test_workers_and_a_table(self):
        write_config(self.folder, protected=2)
        alone = run_alone(self.folder)
        done = self.snakemake("--cores", "2")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(table_in(self.run_folder), alone)
        self.assertEqual((self.folder / "runs/shared/table.csv").read_bytes(), alone["table.csv"])
        self.assertIn("Nothing to be done", self.snakemake("--cores", "2").stderr)


@unittest.skipIf(slurm.why_not(), f"Slurm cannot run here: {slurm.why_not()}")
class OnSlurm(InFolder):
    @classmethod
    def setUpClass(cls):
        kept = tempfile.TemporaryDirectory()
        cls.addClassCleanup(kept.cleanup)
        cls.slurm = slurm.Slurm(kept.name)
        cls.addClassCleanup(cls.slurm.stop)
        try:
            cls.slurm.start()
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:  # a TimeoutError is an OSError
            raise unittest.SkipTest(f"Slurm does not start here: {error}") from error

    def setUp(self):
        super().setUp()
        self.environment = {**self.slurm.environment, "FACEPOISON": BINARY, "FACEPOISON_STORE": str(self.store),
                            "FACEPOISON_CALIBRATION": "3s", "OMP_NUM_THREADS": "1"}  # fmt: skip
        write_config(self.folder)
        self.addCleanup(self.slurm.cancel_all)

    def submit(self, *arguments):
        return subprocess.Popen([SUBMIT, *arguments], cwd=self.folder, env=self.environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip

    def log(self, name):
        found = list(self.folder.glob(f"runs/shared/slurm-*/{name}.log"))
        return found[0].read_text() if found else ""

    def process_of(self, task):
        """The facepoison of a worker."""
        found = subprocess.run(["pgrep", "-f", f"^{BINARY} eval --worker --start {task}/4"], capture_output=True)
        return int(found.stdout.split()[0]) if found.stdout else 0

    def test_workers_fill_the_store_whatever_happens_to_them(self):
        alone = run_alone(self.folder)
        submitted = self.submit("--workers", "4", "--each", "1", "--wait", "shared.json")
        jobs = submitted.stdout.readline().split()[1]
        made = self.store / "perturbed"
        for task in range(4):
            self.slurm.wait_until(lambda: self.process_of(task), f"worker {task} runs")
        self.slurm.wait_until(lambda: list(made.glob("*/*")), "a picture was perturbed")
        os.kill(self.process_of(0), signal.SIGKILL)
        self.slurm.call("scontrol", "update", f"nodename={self.slurm.host}", "state=drain", "reason=test")
        # Slurm sends this signal shortly before a worker's time is over.
        self.slurm.call("scancel", "--batch", "--signal=USR1", f"{jobs}_1")
        self.slurm.wait_until(lambda: "back to the queue" in self.log("worker-1"), "worker 1 goes back")
        self.slurm.call("scontrol", "update", f"nodename={self.slurm.host}", "state=resume")
        out, err = submitted.communicate(timeout=120)
        self.assertEqual(submitted.returncode, 0, out + err)
        self.assertNotIn("all is in the store", self.log("worker-0"))
        for task in (1, 2, 3):
            self.assertIn("all is in the store", self.log(f"worker-{task}"))
        self.assertEqual(table_in(self.run_folder), alone)
        self.assertIn("| extractor", out)
        # Once more: only the table is left to do.
        again = self.submit("--wait", "shared.json")
        out, err = again.communicate(timeout=60)
        self.assertEqual(again.returncode, 0, out + err)
        self.assertIn("all is in the store", err)
        self.assertNotIn("workers:", out)

    @unittest.skipUnless(SNAKEMAKE.exists(), "Snakemake is not in build/snakemake")
    def test_a_time_limit_is_reached(self):
        # The worker waits for pictures of a stopped process until its time is over.
        # What is left then takes seconds, so that it fits into a minute on a busy machine.
        attack = {"preset": "pgd", "surrogates": ["small-surrogate"], "steps": 10}
        write_config(self.folder, protected=2, attacks=["none", attack])
        alone = run_alone(self.folder)
        command = [BINARY, "eval", "--config", "shared.json", "--worker", "--only"]
        subprocess.run([*command, "tried"], cwd=self.folder, env=self.environment, check=True, capture_output=True)
        maker = subprocess.Popen([*command, "perturbed"], cwd=self.folder, env=self.environment,
                                 stderr=subprocess.DEVNULL)  # fmt: skip
        self.addCleanup(maker.kill)
        self.slurm.wait_until(lambda: list(self.store.glob("claims/*")), "a claim is held")
        maker.send_signal(signal.SIGSTOP)
        # Slurm checks every 30 seconds and may send the signal so much earlier: after half a minute or more.
        submitted = self.submit("--workers", "1", "--wait", "shared.json", "--", "--time=1", "--signal=B:USR1@1")
        self.slurm.wait_until(lambda: "the time is over" in self.log("worker-0"), "its time is over", seconds=150)
        maker.kill()
        out, err = submitted.communicate(timeout=300)
        self.assertEqual(submitted.returncode, 0, out + err)
        self.assertIn("all is in the store", self.log("worker-0"))
        self.assertEqual(table_in(self.run_folder), alone)

    def test_snakemake_by_its_plugin_without_locks(self):
        write_config(self.folder, protected=2)
        alone = run_alone(self.folder)
        done = self.snakemake("--executor", "slurm", "--jobs", "2", "--slurm-status-command", "squeue",
                              "--slurm-init-seconds-before-status-checks", "4",
                              facepoison=self.without_locks(), environment=self.environment)  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(table_in(self.run_folder), alone)

    def test_what_is_missing_is_said_with_the_logs(self):
        broken = f'[[ $* == *--worker* ]] && echo "no such luck" >&2 && exit 9\nexec {BINARY} "$@"'
        self.environment["FACEPOISON"] = self.script("broken", broken)
        done = self.submit("--wait", "shared.json")
        out, err = done.communicate(timeout=60)
        self.assertEqual(done.returncode, 1, out + err)
        self.assertRegex(out, r"worker-0.log: no such luck")
        self.assertIn("units are not in the store", out)

    def test_a_worker_that_does_not_share_the_store_says_so(self):
        environment = {**self.environment, "FACEPOISON_SHARED": "/nowhere/x"}
        done = subprocess.run([ROOT / "scripts/slurm/worker.sh", "0", "shared.json"], cwd=self.folder, text=True,
                              capture_output=True, env=environment)  # fmt: skip
        self.assertEqual(done.returncode, 3)
        self.assertIn("/nowhere/x", done.stderr)

    def test_bad_input(self):
        for arguments in (["--workers", "0", "shared.json"], ["--each", "x", "shared.json"], ["--nonsense"], []):
            done = self.submit(*arguments)
            out, err = done.communicate(timeout=60)
            self.assertEqual((done.returncode, out), (2, ""), f"{arguments}: {err}")
        nowhere = self.submit("nowhere.json")
        nowhere.communicate(timeout=60)
        self.assertEqual(nowhere.returncode, 2)
        self.assertFalse(self.slurm.call("squeue", "-h"))


if __name__ == "__main__":
    unittest.main()
