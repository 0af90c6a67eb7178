"""Compares `eval`'s tables and `combine` with scikit-learn, SciPy and NumPy. The embeddings are of the same photos, but
`perturb` and `embed` write them outside the experiment."""

import csv
import io
import itertools
import json
import os
import subprocess
import tempfile
import unittest
import warnings
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist
from sklearn.metrics import pairwise_distances, roc_auc_score, roc_curve, top_k_accuracy_score
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("FACEPOISON_BINARY", ROOT / "build/release/facepoison"))

SEED, RATE = 3, 0.05
ACCURATE, ROBUST = "small-arcface", "small-magface"
PROTECTED = ["gallery-011", "gallery-001", "gallery-004", "gallery-005"]
FALSE_ACCEPT_RATES = [0.0001, 0.0003, 0.001, 0.003, 0.01]
CLASSIFIERS = ["nearest", "centroid", "k-nearest"]
# Each recogniser is attacked, so that each has errors that the other does not have. The attacks are weak, so that some
# probes of a person are still known and some are not.
WEAK = {"epsilon": 0.06, "steps": 4, "step": 0.006}
ATTACKS = {
    "none": {"preset": "none"},
    "noise": {"preset": "noise"},
    "on-accurate": {"preset": "pgd", "surrogates": [ACCURATE], **WEAK},
    "on-robust": {"preset": "pgd", "surrogates": [ROBUST], **WEAK},
}
SCENARIOS = [*((attack, "replaced") for attack in ATTACKS), ("none", "absent")]  # an absent person has posted nothing
# name → rule, share of clean probes above the threshold (none: the robust one is always asked), and the config's keys
PAIRINGS = {
    "both": ("top-2", None, {}),
    "late": ("threshold", 0.1, {"share": 0.1}),
    "asked": ("top-2", 0.05, {"when_above": "auto"}),
}
CONFIG = {
    "dataset": "data",
    "protected": PROTECTED,
    "extractors": [ACCURATE, ROBUST],
    "attacks": [{"name": name, **keys} for name, keys in ATTACKS.items()],
    "classifiers": CLASSIFIERS,
    "enrolled": ["replaced", "absent"],
    "seed": SEED,
    "false_positive_rate": RATE,
    "tables": ["protection", "rank", "open-set", "verification", "det", "confusion", "displacement", "growth",
               "linkage", "impersonation"],
    "combine": [
        {"name": name, "rule": rule, "accurate": ACCURATE, "robust": ROBUST, **keys}
        for name, (rule, _, keys) in PAIRINGS.items()
    ],
}


def read_rows(text_or_path):
    text = text_or_path.read_text() if isinstance(text_or_path, Path) else text_or_path
    return list(csv.DictReader(io.StringIO(text)))


def cell_of(row):
    return row["extractor"], row["attack"], row["enrolled"], row["classifier"]


def guesses(classifier, gallery, labels, probes):
    """The guessed people of each probe, best first, and the first one's distance."""
    people = np.unique(labels)
    if classifier == "centroid":
        far = pairwise_distances(probes, NearestCentroid().fit(gallery, labels).centroids_)
    else:
        photos = pairwise_distances(probes, gallery)
        far = np.stack([photos[:, labels == person].min(1) for person in people], axis=1)
    votes = np.zeros_like(far)
    if classifier == "k-nearest":
        votes = KNeighborsClassifier(5).fit(gallery, labels).predict_proba(probes)
    order = np.lexsort((far, -votes))  # by votes, among equals by the nearest photo
    return people[order], np.take_along_axis(far, order, axis=1)[:, 0]


def ranks_in(names, person):
    """The person's place among each probe's guesses; 0: not there."""
    found = names == person
    return np.where(found.any(1), found.argmax(1) + 1, 0)


def set_threshold(distances, share):
    """The smallest distance with at most the share of the distances above it; all are above −∞."""
    return min(t for t in [-np.inf, *distances] if (distances > t).mean() <= share + 1e-9)


def let_through(rate, distances):
    """The distance below which at most the rate of the distances are."""
    return np.sort(distances)[int(np.floor(rate * len(distances) + 1e-9))]


def above_diagonal(matrix):
    return matrix[np.triu_indices(len(matrix), 1)]


def combined(rule, accurate, robust, truth, threshold):
    """Each probe's name and distance, and whether the robust one was asked and whether it was believed."""
    (first, far), (other, other_far) = ((names[:, 0], distances) for names, distances in (accurate, robust))
    asked = far > threshold
    believed = asked if rule == "threshold" else asked & (first != truth) & (other == truth)
    return np.where(believed, other, first), np.where(believed, other_far, far), asked, believed


@unittest.skipUnless(BINARY.exists(), f"{BINARY} is not built")
class Tables(unittest.TestCase):
    store = ["--store", "store"]

    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)
        # Few gallery photos and many probes: people are mistaken for each other without any attack.
        people = ["--people", "gallery-00*,gallery-010,gallery-011", "--split", 0.2]
        cls.facepoison("prepare", ROOT / "data/rendered", *people, "-o", "data", *cls.store)
        cls.run_folder = cls.evaluate(CONFIG, "run")
        cls.embed_posted()
        cls.trials = defaultdict(dict)
        for row in read_rows(cls.run_folder / "trials.csv"):
            cls.trials[cell_of(row)][row["id"]] = row
        cls.known_guesses = {}

    @classmethod
    def facepoison(cls, *arguments):
        done = subprocess.run(
            [BINARY, *map(str, arguments)],
            cwd=cls.folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"},
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise AssertionError(f"{arguments}: exit code {done.returncode}: {done.stderr}")
        return done.stdout

    @classmethod
    def evaluate(cls, config, name):
        (cls.folder / f"{name}.json").write_text(json.dumps(config))
        cls.facepoison("eval", "--config", f"{name}.json", "--run-dir", name, *cls.store)
        return cls.folder / name

    @classmethod
    def embed_posted(cls):
        """For each attack and extractor: the whole data set's embeddings, with protected people's training photos
        perturbed."""
        cls.embeddings = {}
        for attack, keys in ATTACKS.items():
            settings = [f"--set={key}={json.dumps(value)}" for key, value in keys.items() if key != "preset"]
            posted = "data" if attack == "none" else attack
            if attack != "none":
                cls.facepoison("perturb", "data", "--attack", keys["preset"], *settings, "--seed", SEED,
                               "--people", ",".join(PROTECTED), "-o", posted, *cls.store)  # fmt: skip
            for extractor in (ACCURATE, ROBUST):
                cls.facepoison("embed", posted, "-e", extractor, "-o", "x.npy", *cls.store)
                cls.embeddings[extractor, attack] = np.load(cls.folder / "x.npy").astype(np.float64)
        photos = read_rows(cls.folder / "x.csv")
        cls.ids, cls.people = (np.array([row[key] for row in photos]) for key in ("id", "person"))
        cls.train = np.array([row["split"] == "train" for row in photos])
        cls.truth = cls.people[~cls.train]  # of the probes
        cls.everybody = np.unique(cls.people)

    def table(self, name):
        return read_rows(self.run_folder / f"{name}.csv")

    def probes(self, extractor):
        return self.embeddings[extractor, "none"][~self.train]

    def gallery(self, extractor, attack, enrolled, person):
        """The trainer's gallery if this person is protected: embeddings and names."""
        own = self.people == person
        features = np.where(own[:, None], self.embeddings[extractor, attack], self.embeddings[extractor, "none"])
        there = self.train & ~own if enrolled == "absent" else self.train
        return features[there], self.people[there]

    def guesses(self, extractor, attack, enrolled, classifier, person):
        at = extractor, attack, enrolled, classifier, person
        if at not in self.known_guesses:
            gallery = self.gallery(extractor, attack, enrolled, person)
            self.known_guesses[at] = guesses(classifier, *gallery, self.probes(extractor))
        return self.known_guesses[at]

    def all_trials(self, recognisers=(ACCURATE, ROBUST)):
        """Each cell of the tables, and the person of its trial."""
        for recogniser, scenario, classifier in itertools.product(recognisers, SCENARIOS, CLASSIFIERS):
            for person in PROTECTED:
                yield (recogniser, *scenario, classifier), person

    def check_trials(self, cell, person, names, distances, ranks):
        ids = self.ids[self.people == person][~self.train[self.people == person]]
        rows = [self.trials[cell][photo] for photo in ids]
        own = self.truth == person
        self.assertEqual([row["predicted"] for row in rows], list(names[own]))
        self.assertEqual([row["correct"] for row in rows], [str(int(name == person)) for name in names[own]])
        self.assertEqual([row["rank"] for row in rows], [str(rank) for rank in ranks[own]])
        # The program rounds a person's mean to float32.
        np.testing.assert_allclose([float(row["distance"]) for row in rows], distances[own], rtol=1e-6)

    def check_others(self, cell, person, names, judged):
        (row,) = [r for r in self.table("others") if cell_of(r) == cell and r["protected"] == person]
        expected = judged.sum(), (names != self.truth)[judged].sum(), (names == person)[judged].sum()
        self.assertEqual(tuple(int(row[key]) for key in ("n", "errors", "as_protected")), expected)

    def test_the_experiment_is_no_easy_one(self):
        """The experiment has every case that the other tests need."""
        seen = Counter((row["extractor"], row["enrolled"], row["rank"]) for rows in self.trials.values()
                       for row in rows.values())  # fmt: skip
        for rank in ("1", "2", "3", "4"):
            self.assertGreater(seen[ACCURATE, "replaced", rank], 2)
            self.assertGreater(seen[ROBUST, "replaced", rank], 2)
        self.assertGreater(seen["both", "replaced", "2"], 2)
        self.assertGreater(seen["both", "replaced", ""], 2)
        self.assertGreater(sum(int(row["errors"]) for row in self.table("others")), 10)

    def test_answers_and_places_are_scikit_learns(self):
        for cell, person in self.all_trials():
            names, distances = self.guesses(*cell, person)
            with self.subTest(cell=cell, person=person):
                self.check_trials(cell, person, names[:, 0], distances, ranks_in(names, person))

    def test_other_peoples_probes(self):
        for cell, person in self.all_trials():
            with self.subTest(cell=cell, person=person):
                self.check_others(cell, person, self.guesses(*cell, person)[0][:, 0], self.truth != person)

    def among_first(self, cell, first):
        """The mean over people of scikit-learn's top-k accuracy."""
        shares = []
        for person in PROTECTED:
            names = self.guesses(*cell, person)[0][self.truth == person]
            scores = -np.argsort(names, axis=1)  # by place, a column for each of self.everybody
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # so many guesses are everybody
                shares.append(top_k_accuracy_score([person] * len(names), scores, k=first, labels=self.everybody))
        return np.mean(shares)

    def test_rank_is_top_k_accuracy(self):
        rows = [row for row in self.table("rank") if row["extractor"] not in PAIRINGS]
        self.assertEqual(len(rows), 2 * len(SCENARIOS) * len(CLASSIFIERS) * 5)
        for row in rows:
            cell, first = cell_of(row), int(row["first"])
            with self.subTest(cell=cell, first=first):
                if row["enrolled"] == "absent":
                    self.assertEqual((row["people"], row["n"], row["share"]), ("0", "0", ""))
                    continue
                self.assertAlmostEqual(float(row["share"]), self.among_first(cell, first), places=12)
                self.assertEqual(int(row["n"]), np.isin(self.truth, PROTECTED).sum())

    def pairs(self, extractor, attack, person):
        """Cosine distances of the person's probes to their own posted photos, and to others' gallery photos."""
        gallery, labels = self.gallery(extractor, attack, "replaced", person)
        far = cdist(self.probes(extractor)[self.truth == person], gallery, "cosine")
        return far[:, labels == person].ravel(), far[:, labels != person].ravel()

    def accepted(self, genuine, impostors):
        """At a rate of all impostors: TAR at FAR, each person's, as {rate: shares}."""
        pooled = np.concatenate([*genuine, *impostors])
        is_genuine = np.arange(len(pooled)) < sum(map(len, genuine))
        far, _, scores = roc_curve(is_genuine, -pooled, drop_intermediate=False)
        return {rate: [(-one >= scores[far <= rate][-1]).mean() for one in genuine] for rate in FALSE_ACCEPT_RATES}

    def test_verification_is_scikit_learns(self):
        written = {(row["extractor"], row["attack"], row["enrolled"], row["protected"]): row
                   for row in self.table("pairs")}  # fmt: skip
        tables = {(row["extractor"], row["attack"], row["measure"]): float(row["value"])
                  for row in self.table("verification")}  # fmt: skip
        missed = {(row["extractor"], row["attack"], f"accepted_at_{row['far']}"): float(row["missed"])
                  for row in self.table("det")}  # fmt: skip
        cells = list(itertools.product((ACCURATE, ROBUST), ATTACKS))
        self.assertEqual(len(missed), len(cells) * len(FALSE_ACCEPT_RATES))
        self.assertEqual(len(written), len(cells) * len(PROTECTED), "who is absent has no pairs")
        for extractor, attack in cells:
            genuine, impostors = zip(*(self.pairs(extractor, attack, person) for person in PROTECTED))
            expected = {f"accepted_at_{rate}": shares for rate, shares in self.accepted(genuine, impostors).items()}
            expected["auc"] = [roc_auc_score([1] * len(own) + [0] * len(others), -np.concatenate([own, others]))
                               for own, others in zip(genuine, impostors)]  # fmt: skip
            expected["genuine"], expected["impostors"] = map(len, genuine), map(len, impostors)
            for key, values in expected.items():
                values = list(values)
                with self.subTest(extractor=extractor, attack=attack, key=key):
                    found = [float(written[extractor, attack, "replaced", person][key]) for person in PROTECTED]
                    np.testing.assert_allclose(found, values, atol=1e-12)
                    if (extractor, attack, key) in missed:
                        self.assertAlmostEqual(missed[extractor, attack, key], 1 - np.mean(values), places=12)
                    if key in ("auc", "accepted_at_0.01", "accepted_at_0.001"):
                        self.assertAlmostEqual(tables[extractor, attack, key], np.mean(values), places=12)

    def strangers(self, extractor, classifier):
        """Names and distances of unprotected people's probes while their person is not in the gallery."""
        strange = [person for person in self.everybody if person not in PROTECTED]
        answers = {person: self.guesses(extractor, "none", "absent", classifier, person) for person in strange}
        own = {person: self.truth == person for person in strange}
        return (np.concatenate([answers[person][0][own[person], 0] for person in strange]),
                np.concatenate([answers[person][1][own[person]] for person in strange]))  # fmt: skip

    def missed_or_found(self, cell, threshold):
        """The mean over people of the share of probes that are missed, or found though the person is absent."""
        shares = []
        for person in PROTECTED:
            own = self.truth == person
            names, distances = self.guesses(*cell, person)
            found = distances[own] < threshold
            shares.append((found if cell[2] == "absent" else ~found | (names[own, 0] != person)).mean())
        return np.mean(shares)

    def test_open_set_from_scratch(self):
        rows = {cell_of(row): row for row in self.table("open-set")}
        self.assertEqual(len(rows), 2 * len(SCENARIOS) * len(CLASSIFIERS))
        for extractor, classifier in itertools.product((ACCURATE, ROBUST), CLASSIFIERS):
            names, distances = self.strangers(extractor, classifier)
            written = [row for row in self.table("strangers")
                       if (row["extractor"], row["classifier"]) == (extractor, classifier)]  # fmt: skip
            self.assertEqual([row["predicted"] for row in written], list(names))
            np.testing.assert_allclose([float(row["distance"]) for row in written], distances, rtol=1e-6)
            # The largest distance with at most the rate of the distances below it.
            threshold = max(t for t in distances if (distances < t).mean() <= RATE + 1e-9)
            for attack, enrolled in SCENARIOS:
                cell = extractor, attack, enrolled, classifier
                with self.subTest(cell=cell):
                    row = rows[cell]
                    self.assertEqual(row["measure"], "fpir" if enrolled == "absent" else "fnir")
                    self.assertEqual(int(row["strangers"]), len(distances))
                    self.assertEqual(int(row["n"]), np.isin(self.truth, PROTECTED).sum())
                    np.testing.assert_allclose(float(row["threshold"]), threshold, rtol=1e-6)
                    self.assertAlmostEqual(float(row["share"]), self.missed_or_found(cell, threshold), places=12)

    def test_open_set_has_the_rows_of_every_transform(self):
        """A transform of perturbed photos does not change strangers: the threshold stays."""
        config = {**CONFIG, "extractors": [ACCURATE], "classifiers": ["nearest"], "tables": ["open-set"], "combine": [],
                  "attacks": CONFIG["attacks"][:2], "enrolled": ["replaced"],
                  "transforms": ["none", {"transform": "jpeg", "quality": 75}]}  # fmt: skip
        rows = read_rows(self.evaluate(config, "transformed") / "open-set.csv")
        found = Counter((row["transform"], row["attack"]) for row in rows)
        self.assertEqual(found, Counter(itertools.product(["none", "jpeg-75"], ["none", "noise"])))
        self.assertEqual(len({row["threshold"] for row in rows}), 1)

    def displaced(self, extractor, attack, person):
        """For each posted photo of the person: how far it moved, and how far the nearest photo of others is."""
        clean, own = self.embeddings[extractor, "none"], self.people == person
        posted = self.embeddings[extractor, attack][own & self.train]
        return (np.diagonal(cdist(posted, clean[own & self.train])),
                cdist(posted, clean[~own & self.train]).min(1))  # fmt: skip

    def test_displacement_is_scipys(self):
        written = defaultdict(dict)
        for row in self.table("displacements"):
            written[row["extractor"], row["attack"], row["protected"]][row["id"]] = row
        means = defaultdict(list)
        for extractor, attack, person in itertools.product((ACCURATE, ROBUST), list(ATTACKS)[1:], PROTECTED):
            moved, nearest = self.displaced(extractor, attack, person)
            rows = written.pop((extractor, attack, person))
            with self.subTest(extractor=extractor, attack=attack, person=person):
                self.assertEqual(list(rows), list(self.ids[(self.people == person) & self.train]))
                for key, values in {"moved": moved, "nearest_other": nearest}.items():
                    np.testing.assert_allclose([float(row[key]) for row in rows.values()], values, rtol=1e-6)
            means[extractor, attack].append([moved.mean(), nearest.mean(), (moved > nearest).mean()])
        self.assertFalse(written, "clean photos are not displaced")
        for row in self.table("displacement"):
            found = [float(row[key]) for key in ("moved", "nearest_other", "beyond")]
            expected = np.mean(means.pop((row["extractor"], row["attack"])), axis=0)
            np.testing.assert_allclose(found, expected, rtol=1e-6)
        self.assertFalse(means)

    def grown(self, extractor, attack, classifier, person, start, believes):
        """How many photos, right and wrong ones, a tracker has added after each round."""
        clean, own = self.embeddings[extractor, "none"], self.people == person
        gallery = (self.train & ~own) | (np.arange(len(own)) == start)
        features, names = clean[gallery], self.people[gallery]
        posted = own & self.train & ~gallery
        probes = ~self.train & ~own & believes
        queue = np.concatenate([self.embeddings[extractor, attack][posted], clean[probes]])
        people = np.concatenate([self.people[posted], self.people[probes]])
        rounds, added = [], np.zeros(2, int)
        while len(queue):
            found = guesses(classifier, features, names, queue)[0][:, 0] == person
            added = added + [(people[found] == person).sum(), (people[found] != person).sum()]
            if found.any() or not rounds:
                rounds.append(tuple(map(int, added)))
            if not found.any():
                break
            features = np.concatenate([features, queue[found]])
            names = np.concatenate([names, [person] * found.sum()])
            queue, people = queue[~found], people[~found]
        return rounds

    def test_growth_is_a_loop_from_a_drawn_photo(self):
        written = defaultdict(lambda: defaultdict(list))  # person → cell and mode → rounds
        for row in self.table("rounds"):
            cell = row["extractor"], row["attack"], row["classifier"], row["mode"]
            self.assertEqual(int(row["round"]), len(written[row["protected"]][cell]) + 1)
            written[row["protected"]][cell].append((int(row["added_right"]), int(row["added_wrong"])))
        self.assertEqual(set(written), set(PROTECTED))
        cells = set(itertools.product((ACCURATE, ROBUST), ATTACKS, CLASSIFIERS, ("believed", "oracle")))
        for person, rounds in written.items():
            self.assertEqual(set(rounds), cells)
            starts = [
                start
                for start in np.flatnonzero((self.people == person) & self.train)
                if all(self.grown(*cell[:3], person, start, cell[3] == "believed") == of for cell, of in rounds.items())
            ]
            self.assertTrue(starts, f"no photo of {person} leads to these rounds")
        self.check_growth_table(written)

    def check_growth_table(self, written):
        most = max(len(rounds) for cells in written.values() for rounds in cells.values())
        photos = {person: (self.train & (self.people == person)).sum() - 1 for person in PROTECTED}
        rows = self.table("growth")
        self.assertEqual(len(rows), 2 * len(ATTACKS) * len(CLASSIFIERS) * 2 * most)
        for row in rows:
            cell = row["extractor"], row["attack"], row["classifier"], row["mode"]
            at = {person: written[person][cell][: int(row["round"])][-1] for person in PROTECTED}
            found = [right / photos[person] for person, (right, _) in at.items()]
            expected = [*np.mean(list(at.values()), axis=0), np.mean(found)]
            np.testing.assert_allclose([float(row[key]) for key in ("added_right", "added_wrong", "found")], expected)
            self.assertEqual((int(row["people"]), int(row["n"])), (len(PROTECTED), sum(photos.values())))

    def posted(self, extractor, attack, person):
        """The person's training photos, clean and as posted."""
        own = (self.people == person) & self.train
        return {"clean": self.embeddings[extractor, "none"][own], "posted": self.embeddings[extractor, attack][own]}

    def retrieved(self, extractor, attack, person, asking):
        """The share of each query's k nearest that are the person's, for each cell; `asking`: half of the photos."""
        sides = self.posted(extractor, attack, person)
        others = self.embeddings[extractor, "none"][self.train & (self.people != person)]
        found = {}
        for query, database in itertools.product(sides, sides):
            own = np.delete(sides[database], list(asking), axis=0)
            far = cdist(sides[query][list(asking)], np.concatenate([own, others]), "cosine")
            found[f"{query}_in_{database}"] = (np.argsort(far)[:, : len(own)] < len(own)).mean()
        return found

    def linked(self, extractor, attack):
        """Each person's accepted shares and BCubed, by measure."""
        photos = np.concatenate([self.posted(extractor, attack, person)["posted"] for person in PROTECTED])
        people = np.concatenate([[person] * (self.train & (self.people == person)).sum() for person in PROTECTED])
        far, same = cdist(photos, photos, "cosine"), people[:, None] == people
        impostors = above_diagonal(far)[~above_diagonal(same)]
        clusters = connected_components(far < let_through(0.001, impostors))[1]
        together = clusters[:, None] == clusters
        found = {}
        for person in PROTECTED:
            own = people == person
            pairs = above_diagonal(far[np.ix_(own, own)])
            precision = ((together & same).sum(1) / together.sum(1))[own].mean()
            recall = ((together & same).sum(1) / same.sum(1))[own].mean()
            found[person] = {f"tar_at_{rate}": (pairs < let_through(rate, impostors)).mean() for rate in (0.001, 0.01)}
            found[person] |= {"bcubed_precision": precision, "bcubed_recall": recall,
                              "bcubed_f": 2 * precision * recall / (precision + recall)}  # fmt: skip
        return found

    def test_linkage_from_scratch(self):
        written = {(row["extractor"], row["attack"], row["protected"]): row for row in self.table("links")}
        cells = list(itertools.product((ACCURATE, ROBUST), ATTACKS))
        self.assertEqual(len(written), len(cells) * len(PROTECTED))
        for person in PROTECTED:
            count = (self.train & (self.people == person)).sum()
            halves = [
                half
                for half in itertools.combinations(range(count), count // 2)
                if all(
                    np.isclose(float(written[(*cell, person)][key]), share)
                    for cell in cells
                    for key, share in self.retrieved(*cell, person, half).items()
                )
            ]
            self.assertTrue(halves, f"no half of the photos of {person} finds this")
        means = defaultdict(list)
        for cell in cells:
            for person, measures in self.linked(*cell).items():
                row = written[(*cell, person)]
                for key, value in measures.items():
                    with self.subTest(cell=cell, person=person, key=key):
                        self.assertAlmostEqual(float(row[key]), value, places=9)
                for key in [*measures, *(f"{a}_in_{b}" for a in ("clean", "posted") for b in ("clean", "posted"))]:
                    means[(*cell, key)].append(float(row[key]))
        table = {(row["extractor"], row["attack"], row["measure"]): float(row["value"])
                 for row in self.table("linkage")}  # fmt: skip
        self.assertEqual(set(table), set(means))
        for key, values in means.items():
            self.assertAlmostEqual(table[key], np.mean(values), places=12)

    def passing_threshold(self, extractor, rate):
        """The cosine distance below which the rate of the strangers' pairs of two people are."""
        strange = self.train & ~np.isin(self.people, PROTECTED)
        clean, people = self.embeddings[extractor, "none"][strange], self.people[strange]
        differ = above_diagonal(people[:, None] != people)
        return let_through(rate, above_diagonal(cdist(clean, clean, "cosine"))[differ])

    def impersonated(self, extractor, attack, person, threshold):
        """The target, and the shares of pairs that dodge, and that pass for the target."""
        posted = self.posted(extractor, attack, person)["posted"]
        clean = {other: self.posted(extractor, "none", other)["clean"] for other in self.everybody}
        far = {other: cdist(posted, photos, "cosine") for other, photos in clean.items()}
        target = min((other for other in far if other != person), key=lambda other: far[other].mean())
        others = far[person][~np.eye(len(far[person]), dtype=bool)]
        return target, {"dodging": (others >= threshold).mean(), "impersonation": (far[target] < threshold).mean()}

    def test_impersonation_from_scratch(self):
        written = {(row["extractor"], row["attack"], row["protected"]): row for row in self.table("impersonations")}
        table = {(row["extractor"], row["attack"], row["far"], row["measure"]): row
                 for row in self.table("impersonation")}  # fmt: skip
        self.assertEqual(len(table), 2 * len(ATTACKS) * 3 * 2)
        for extractor, attack, rate in itertools.product((ACCURATE, ROBUST), ATTACKS, ("0.001", "0.01", "0.1")):
            threshold, means = self.passing_threshold(extractor, float(rate)), defaultdict(list)
            for person in PROTECTED:
                row = written[extractor, attack, person]
                target, shares = self.impersonated(extractor, attack, person, threshold)
                self.assertEqual(row["target"], target)
                self.assertAlmostEqual(float(row[f"threshold_at_{rate}"]), 1 - threshold, places=6)
                for measure, share in shares.items():
                    with self.subTest(extractor=extractor, attack=attack, person=person, rate=rate, measure=measure):
                        self.assertAlmostEqual(float(row[f"{measure}_at_{rate}"]), share, places=12)
                    means[measure].append(share)
            for measure, shares in means.items():
                row = table[extractor, attack, rate, measure]
                self.assertAlmostEqual(float(row["share"]), np.mean(shares), places=12)
                self.assertAlmostEqual(float(row["threshold"]), 1 - threshold, places=6)

    def test_confusion_counts_trials(self):
        rows = {cell_of(row): row for row in self.table("confusion")}
        self.assertEqual(set(rows), set(self.trials))
        for cell, row in rows.items():
            wrong = defaultdict(Counter)
            for trial in self.trials[cell].values():
                if trial["predicted"] != trial["protected"]:
                    wrong[trial["protected"]][trial["predicted"]] += 1
            everybody = sum(wrong.values(), Counter())
            with self.subTest(cell=cell):
                self.assertEqual(int(row["n"]), len(self.trials[cell]))
                self.assertEqual(int(row["wrong"]), everybody.total())
                if not wrong:
                    self.assertEqual(row["names"] + row["most"], "")
                    continue
                concentration = [max(names.values()) / names.total() for names in wrong.values()]
                self.assertAlmostEqual(float(row["names"]), np.mean([len(names) for names in wrong.values()]))
                self.assertAlmostEqual(float(row["concentration"]), np.mean(concentration))
                self.assertEqual(everybody[row["most"]], max(everybody.values()))
                self.assertAlmostEqual(float(row["most_share"]), max(everybody.values()) / everybody.total())

    def test_confusion_counts_who_is_taken_for_the_protected(self):
        expected = defaultdict(Counter)
        for cell, person in self.all_trials():
            others = self.truth != person
            names = self.guesses(*cell, person)[0][others, 0]
            expected[cell].update(others_n=others.sum(), as_protected=(names == person).sum())
        self.assertGreater(sum(counts["as_protected"] for counts in expected.values()), 5)
        rows = {cell_of(row): row for row in self.table("confusion")}
        for cell, counts in expected.items():
            self.assertEqual({key: int(rows[cell][key]) for key in counts}, counts, cell)

    def clean_distances(self, classifier):
        """The accurate recogniser's, of everybody's probes, where nobody perturbs."""
        return self.guesses(ACCURATE, "none", "replaced", classifier, PROTECTED[0])[1]

    def setters(self):
        """The half of the people with clean probes that explain every written threshold: there is only one."""
        if "half" not in type(self).__dict__:
            type(self).half = self.find_setters()
        return type(self).half

    def find_setters(self):
        halves = list(itertools.combinations(self.everybody, len(self.everybody) // 2))
        members = np.array([np.isin(self.truth, half) for half in halves]).astype(int)
        fits = np.ones(len(halves), bool)
        for classifier, person, share, threshold in {
            (row["classifier"], row["protected"], float(row["share"]), float(row["threshold"] or -np.inf))
            for row in self.table("thresholds")
        }:
            far, set_by = self.clean_distances(classifier), members * (self.truth != person)
            allowed = share * set_by.sum(1) + 1e-9
            at = np.isclose(far, threshold, rtol=1e-6, atol=0)
            fits &= set_by @ ((far > threshold) & ~at) <= allowed
            if threshold > -np.inf:  # a lower one would leave too many
                fits &= (set_by @ at == 1) & (set_by @ ((far > threshold) | at) > allowed)
        self.assertEqual(fits.sum(), 1)
        return np.array(halves[fits.argmax()])

    def threshold(self, classifier, person, share):
        set_by = np.isin(self.truth, self.setters()) & (self.truth != person)
        return set_threshold(self.clean_distances(classifier)[set_by], share)

    def joint(self, name, cell, person, share):
        """See combined(); only for people who did not set the threshold."""
        pair = [self.guesses(one, *cell[1:], person) for one in (ACCURATE, ROBUST)]
        if share is None:
            return *combined(PAIRINGS[name][0], *pair, self.truth, -np.inf), self.truth != person
        threshold = self.threshold(cell[3], person, share)
        judged = ~np.isin(self.truth, [*self.setters(), person])
        return *combined(PAIRINGS[name][0], *pair, self.truth, threshold), judged

    def joint_ranks(self, name, cell, person, asked, believed):
        first, other = (ranks_in(self.guesses(one, *cell[1:], person)[0], person) for one in (ACCURATE, ROBUST))
        if PAIRINGS[name][0] == "threshold":
            return np.where(believed, other, first)
        two = np.where(believed, "2", np.where(first <= 1, first.astype(str), ""))  # 0 stays 0: not enrolled
        return np.where(asked, two, first.astype(str))

    def test_combinations_of_two(self):
        for cell, person in self.all_trials(PAIRINGS):
            name = cell[0]
            names, distances, asked, believed, judged = self.joint(name, cell, person, PAIRINGS[name][1])
            ranks = self.joint_ranks(name, cell, person, asked, believed)
            with self.subTest(cell=cell, person=person):
                self.check_trials(cell, person, names, distances, ranks)
                self.check_others(cell, person, names, judged)

    def test_the_tables_of_combinations(self):
        """Protection, and who is among the first: an unknown rank is among none."""
        wrong, ranks = defaultdict(list), defaultdict(list)
        for cell, person in self.all_trials(PAIRINGS):
            own = self.truth == person
            names, _, asked, believed, _ = self.joint(cell[0], cell, person, PAIRINGS[cell[0]][1])
            places = self.joint_ranks(cell[0], cell, person, asked, believed)[own]
            wrong[cell].append((names != self.truth)[own].mean())
            ranks[cell].append([float(place or "inf") for place in places.astype(str)])
        for row in self.table("table"):
            if row["extractor"] in PAIRINGS and row["enrolled"] == "replaced":
                self.assertAlmostEqual(float(row["protection"]), np.mean(wrong[cell_of(row)]), places=12)
        for row in self.table("rank"):
            if row["extractor"] in PAIRINGS and row["enrolled"] == "replaced":
                share = (np.array(ranks[cell_of(row)]) <= int(row["first"])).mean()  # all have as many probes
                self.assertAlmostEqual(float(row["share"]), share, places=12, msg=cell_of(row))

    def test_two_guesses_are_wrong_where_neither_is_right(self):
        """From the two recognisers' own trials."""
        for attack, classifier in itertools.product(ATTACKS, CLASSIFIERS):
            accurate, robust, both = (
                self.trials[one, attack, "replaced", classifier] for one in (ACCURATE, ROBUST, "both")
            )
            for photo, row in both.items():
                right = int(accurate[photo]["correct"]) or int(robust[photo]["correct"])
                self.assertEqual(int(row["correct"]), right, f"{attack}, {classifier}, {photo}")

    def test_the_curve_of_each_threshold(self):
        curves = defaultdict(list)
        for row in self.table("thresholds"):
            cell, person, share = cell_of(row), row["protected"], float(row["share"])
            names, _, _, _, judged = self.joint(cell[0], cell, person, share)
            wrong, own = names != self.truth, self.truth == person
            threshold = self.threshold(cell[3], person, share)
            with self.subTest(cell=cell, person=person, share=share):
                np.testing.assert_allclose(float(row["threshold"] or -np.inf), threshold, rtol=1e-6)
                self.assertEqual([int(row[key]) for key in ("n", "errors", "others_n", "others_errors")],
                                 [own.sum(), wrong[own].sum(), judged.sum(), wrong[judged].sum()])  # fmt: skip
            curves[cell, share].append((threshold, wrong[own].mean(), judged.sum(), wrong[judged].sum()))
        self.assertEqual(len(curves), 2 * len(ATTACKS) * len(CLASSIFIERS) * 10, "who is absent has no curve")
        self.check_curves(curves)

    def check_curves(self, curves):
        for row in read_rows(self.facepoison("table", "run", "--of", "threshold", "--format", "csv")):
            cell = row["combine"], row["attack"], row["enrolled"], row["classifier"]
            tau, wrong, judged, errors = np.array(curves.pop((cell, float(row["share"])))).T
            with self.subTest(cell=cell, share=row["share"]):
                self.assertAlmostEqual(float(row["others_error"]), errors.sum() / judged.sum(), places=12)
                np.testing.assert_allclose(float(row["tau"] or -np.inf), tau.mean(), rtol=1e-6)
                self.assertAlmostEqual(float(row["protection"]), wrong.mean(), places=12)
        self.assertFalse(curves)

    def test_the_curve_ends_where_the_robust_one_always_answers(self):
        for row in self.table("thresholds"):
            if row["extractor"] != "late" or row["share"] != "1":
                continue
            own = [trial for trial in self.trials[ROBUST, *cell_of(row)[1:]].values()
                   if trial["protected"] == row["protected"]]  # fmt: skip
            self.assertEqual(int(row["errors"]), sum(trial["correct"] == "0" for trial in own))

    def test_the_curve_begins_where_only_the_farthest_are_asked(self):
        """No clean probe of the setters is asked there, so without attacks hardly any probe is."""
        asked = 0
        for row in self.table("thresholds"):
            if row["extractor"] != "late" or row["share"] != "0":
                continue
            pair = [self.trials[one, *cell_of(row)[1:]] for one in (ACCURATE, ROBUST)]
            own = [photo for photo, trial in pair[0].items() if trial["protected"] == row["protected"]]
            beyond = {photo: float(pair[0][photo]["distance"]) > float(row["threshold"]) for photo in own}
            asked += sum(beyond.values())
            errors = sum(pair[beyond[photo]][photo]["correct"] == "0" for photo in own)
            self.assertEqual(int(row["errors"]), errors)
        self.assertGreater(asked, 0)

    def test_who_is_not_enrolled_has_no_protection(self):
        absent = [row for row in self.table("table") if row["enrolled"] == "absent"]
        self.assertEqual(len(absent), (2 + len(PAIRINGS)) * len(CLASSIFIERS))
        self.assertEqual({(row["people"], row["protection"]) for row in absent}, {("0", "")})

    def test_a_curve_without_a_combination_is_refused_before_any_work(self):
        for name, combine in {"nobody-combined": [], "no-threshold": CONFIG["combine"][:1]}.items():
            with self.subTest(name):
                with self.assertRaisesRegex(AssertionError, "exit code 2"):
                    self.evaluate({**CONFIG, "tables": ["threshold"], "combine": combine}, name)
                self.assertFalse((self.folder / name).exists())

    def test_table_prints_what_the_run_wrote(self):
        for name in CONFIG["tables"]:
            written = self.table("table" if name == "protection" else name)
            self.assertTrue(written)
            printed = read_rows(self.facepoison("table", "run", "--of", name, "--format", "csv"))
            self.assertEqual(printed, written, name)


if __name__ == "__main__":
    unittest.main()
