"""Tests bench/scale.py on plans that can be computed by hand."""
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import scale  # noqa: E402


def unit(kind, name, *needs, seconds=10, stored=False):
    return {"arrow": kind, "id": name, "stored": stored, "seconds": seconds, "needs": list(needs)}


def hours(units, workers, costs=None, **changes):
    costs = {"operations": {}, **(costs or {})}
    return scale.simulate(scale.read_stages(units, costs), costs["operations"], workers, 0.001, **changes)["hours"]


class Simulated(unittest.TestCase):
    independent = [unit("perturbed", f"p{n}") for n in range(8)]
    chain = [
        unit("perturbed", "p"),
        unit("embedded", "e", "p"),
        unit("all", "g", "e", seconds=0),
        unit("answered", "a", "g"),
    ]

    def test_one_worker_takes_the_sum(self):
        self.assertAlmostEqual(3600 * hours(self.independent, 1), 80)
        self.assertAlmostEqual(3600 * hours(self.chain, 1), 30)

    def test_independent_units_take_half_as_long_with_two(self):
        self.assertAlmostEqual(3600 * hours(self.independent, 2), 40, delta=0.2)  # and a pause

    def test_a_chain_takes_as_long_with_any_number(self):
        alone = 3600 * hours(self.chain, 1)
        for workers in (2, 5):
            # Others may be up to half a minute of pauses behind, never ahead.
            self.assertGreaterEqual(3600 * hours(self.chain, workers), alone)
            self.assertLess(3600 * hours(self.chain, workers), alone + 3 * scale.LONGEST)

    def test_what_is_stored_costs_nothing(self):
        self.assertAlmostEqual(hours([unit("perturbed", "p", stored=True), *self.independent[:2]], 1) * 3600, 20)

    def test_a_worker_holds_the_batch_that_it_computes_and_the_next(self):
        self.assertAlmostEqual(3600 * hours(self.independent[:4], 4), 20, delta=3 * scale.LONGEST)
        costs = {"batch": {"perturbed": 4}}
        self.assertAlmostEqual(3600 * hours(self.independent, 2, costs), 80, delta=scale.LONGEST)

    def test_operations_are_counted_and_cost_their_time(self):
        costs = {"operations": {"start": 100, "absent": 1, "made": 9}}
        stages = scale.read_stages(self.independent, costs)
        found = scale.simulate(stages, costs["operations"], 1, 0.01, threads=1)
        self.assertAlmostEqual(found["total"], 100 + 8 + 8 * 9)
        self.assertAlmostEqual(3600 * found["hours"], 80 + 1.8)
        self.assertAlmostEqual(found["metadata"], 1.8 / 81.8)
        self.assertEqual(found["idle"], 0)

    def test_who_waits_visits_again_and_again(self):
        operations = {"made": {"perturbed": 9}, "taken": {"perturbed": 4}, "found": {"perturbed": 16}}
        stages = scale.read_stages(self.independent[:1], {})
        found = scale.simulate(stages, operations, 2, 0)
        # At 0, .1, .3, .7, 1.5, 3.1 and 6.3 seconds it is held, at 12.7 it is there.
        self.assertEqual(found["total"], 9 + 7 * 4 + 16)
        self.assertAlmostEqual(3600 * found["hours"], 12.7)

    def test_what_threads_look_at_takes_less_time_and_as_many_operations(self):
        for threads in (1, 4):
            operations = {"absent": 1, "start": 8}
            found = scale.simulate(scale.read_stages(self.independent, {}), operations, 1, 1, threads=threads)
            self.assertEqual(found["total"], 16)
            self.assertAlmostEqual(3600 * found["hours"], 80 + 16 / threads)

    def test_a_slow_server_is_shared(self):
        costs = {"operations": {"start": 1000}}
        self.assertAlmostEqual(3600 * hours(self.independent, 2, costs, server=10, threads=1), 200, delta=1)

    def test_a_kind_is_known_from_the_plan_or_from_the_costs(self):
        units = [unit("perturbed", "p", seconds=None), unit("audited", "u", "p"), unit("perturbed", "q", seconds=None)]
        self.assertAlmostEqual(3600 * hours(units, 1, {"seconds": {"perturbed": [1, 2]}}), 13)
        self.assertAlmostEqual(3600 * hours(units, 1, {"seconds": {"perturbed": 5}, "fixed": {"audited": 7}}), 27)
        with self.assertRaisesRegex(SystemExit, "perturbed"):
            hours(units, 1)

    def test_the_command(self):
        with tempfile.TemporaryDirectory() as folder:
            plan, costs = Path(folder) / "plan.json", Path(folder) / "costs.json"
            plan.write_text(json.dumps({"rows": [], "units": self.independent}))
            costs.write_text(json.dumps({"operations": {}}))
            done = subprocess.run(
                [sys.executable, ROOT / "bench/scale.py", plan, "--costs", costs, "--workers", "1,2", "--ms", "1",
                 "--format", "csv"],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
        header, one, two = done.stdout.splitlines()
        self.assertEqual(one.split(",")[:5], ["1", "1", "any", "0.02", "1.0"])
        self.assertEqual(two.split(",")[4], "2.0")


if __name__ == "__main__":
    unittest.main()
