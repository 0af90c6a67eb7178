"""`linear` and `k-nearest` against scikit-learn, on embeddings of the rendered gallery by a small recogniser."""
import csv
import io
import os
import subprocess
import tempfile
import unittest
import warnings
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("FACEPOISON_BINARY", ROOT / "build/release/facepoison"))


@unittest.skipUnless(BINARY.exists(), f"{BINARY} is not built")
class Classifiers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.facepoison("prepare", ROOT / "data/rendered", "--people", "gallery-00*,gallery-01*", "-o", "data")
        cls.facepoison("embed", "data", "-e", "small-arcface", "-o", "x.npy")
        cls.features = np.load(Path(cls.folder.name) / "x.npy")
        with open(Path(cls.folder.name) / "x.csv", newline="") as file:
            names = list(csv.DictReader(file))
        cls.people = np.array([row["person"] for row in names])
        cls.train = np.array([row["split"] == "train" for row in names])

    @classmethod
    def facepoison(cls, *arguments):
        return subprocess.run(
            [BINARY, *map(str, arguments), "--store", "store"],
            cwd=cls.folder.name,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def identify(self, classifier, chosen=None):
        """Predicted person and distance of each probe; `chosen` limits the people."""
        rows = np.isin(self.people, chosen) if chosen is not None else np.ones(len(self.people), bool)
        np.save(Path(self.folder.name) / "some.npy", self.features[rows])
        with open(Path(self.folder.name) / "some.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "person", "split"])
            writer.writerows(
                [i, person, "train" if train else "test"]
                for i, (person, train) in enumerate(zip(self.people[rows], self.train[rows]))
            )
        found = list(
            csv.DictReader(io.StringIO(self.facepoison("identify", "some.npy", "some.npy", "--classifier", classifier)))
        )
        self.assertGreater(len(found), 10)
        gallery, probes = rows & self.train, rows & ~self.train
        return [row["predicted"] for row in found], np.array([float(row["distance"]) for row in found]), gallery, probes

    def same_as_sklearn(self, chosen, c=1.0):
        predicted, distances, gallery, probes = self.identify('{"classifier": "linear", "c": %g}' % c, chosen)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = make_pipeline(StandardScaler(), LogisticRegression(C=c, tol=1e-10, max_iter=100000, random_state=0))
            model.fit(self.features[gallery].astype(np.float64), self.people[gallery])
        likely = model.predict_proba(self.features[probes].astype(np.float64))
        self.assertEqual(predicted, list(model.classes_[likely.argmax(1)]))
        np.testing.assert_allclose(1 - distances, likely.max(1), atol=1e-4)

    def test_linear_is_scikit_learns(self):
        self.same_as_sklearn(None)

    def test_linear_of_two_people_has_one_row_of_weights(self):
        self.same_as_sklearn(["gallery-000", "gallery-001"], c=0.01)

    def test_k_nearest_is_scikit_learns_but_for_ties(self):
        for k in (1, 3):
            predicted, _, gallery, probes = self.identify('{"classifier": "k-nearest", "k": %d}' % k)
            model = KNeighborsClassifier(n_neighbors=k).fit(self.features[gallery], self.people[gallery])
            votes = model.predict_proba(self.features[probes])
            clear = np.sort(votes, 1)[:, -1] > np.sort(votes, 1)[:, -2]
            self.assertGreater(clear.mean(), 0.5)
            self.assertEqual(list(np.array(predicted)[clear]), list(model.predict(self.features[probes])[clear]))


if __name__ == "__main__":
    unittest.main()
