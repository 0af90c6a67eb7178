// The main job: for each extractor, attack and classifier, each protected person's training photos are replaced by
// perturbed ones, and that person's clean test photos are identified against everybody.
#pragma once
#include "facepoison/axes.hpp"
#include "facepoison/expect.hpp"
#include "facepoison/prepare.hpp"
#include "facepoison/recogniser.hpp"

namespace facepoison {

// A config, read and checked completely before the first network is loaded.
struct Experiment {
  std::string name;     // the config's file stem
  std::string command;  // runs it; affects no result
  Dataset dataset;
  std::vector<PhotoRow> train, test;  // of the data set
  // The last photos of the data set: those of another one (the key distractors_from), which only fill the gallery.
  std::vector<PhotoRow> distractors;
  std::string distractors_sha256;     // of that data set's manifest
  std::int64_t gallery_photos = 0;    // at most so many training photos of a person are in the gallery; 0: all
  std::vector<std::string> eligible;  // by name
  std::vector<std::vector<std::string>> protected_people;           // of each seed, in the order of its draw
  std::vector<std::shared_ptr<const FeatureExtractor>> extractors;  // by release
  std::vector<std::string> seen;  // a sentence for each extractor with known training people
  std::vector<Card> absent;       // extractors that were skipped, since their weights are not on this machine
  Axes axes;
  std::vector<ClassifierChoice> classifiers;
  std::vector<Pairing> combine;                                    // of the extractors
  std::vector<std::shared_ptr<const FeatureExtractor>> detectors;  // cloak detectors, for the table detection
  std::vector<std::string> tables;                                 // see table_registry()
  double false_positive_rate = 0.01;                               // at which the table open-set sets its thresholds
  RunOptions options;
  Json resolved;  // all of the above, defaults, hashes and versions included
  bool is_prepared() const { return !dataset.photos.empty(); }  // see read_experiment()
  bool wants(const std::string& table) const;
};

// Reads a config. Its keys: dataset (a data set, or a folder of photos, which is prepared into the store first),
// protected ("all" | K | [names]), extractors, the keys of axis_registry(), classifiers, device, precision, absent
// distractors_from (a data set like `dataset`: one photo of each of its people fills the gallery, as the axis
// "distractors" says), gallery_photos (at most so many training photos of a person are in the gallery; 0: all), absent
// ("refuse", or "skip" extractors whose weights are not here), combine (a list of Pairing's keys), detectors (cloak
// detectors by name or card), tables, false_positive_rate, prepare (an object of PrepareOptions' keys, for a folder of
// photos), allow_perturbed (else a data set with perturbed photos is refused: Error(input)). `overrides` are KEY=VALUE;
// KEY may be dotted; VALUE is JSON if it parses, else a text. Paths in the config are from its folder, in overrides
// from the working folder. `expectations` must match rows of the run, which is checked before any photo is prepared.
// Throws Error(usage | input | model). If the store is read-only and a folder of photos is not prepared yet, the
// experiment has no photos: its people and its resolved form are unknown.
Experiment read_experiment(const fs::path& config, const std::vector<std::string>& overrides, bool trust_model,
                           ArtifactStore& store, const std::vector<Expectation>& expectations = {});

// The data set of such a config, with only the photos of its protected people, of all its seeds. Reads nothing else of
// the config, since the recognisers that it names may not be trained yet.
Dataset protected_photos(const fs::path& config, ArtifactStore& store);

// Every combination of the config's axes, with the trials of these people, of each seed; the rows of the tables in
// their order.
Scenarios scenarios(const Experiment& experiment, const std::vector<std::vector<std::string>>& people);

// Scenarios that remove each eligible person who is never protected from everybody's gallery, under the same
// transforms: how the trainer sees a stranger. A subset of the coordinates.
std::vector<Scenario> strangers(const Experiment& experiment, const std::vector<Scenario>& scenarios);

// A recogniser as in the tables' column "extractor": an extractor, or a combination of two.
struct TableRecogniser {
  std::string name, released;
  std::vector<const FeatureExtractor*> extractors;  // in the order of asking; the experiment owns them
};
std::vector<TableRecogniser> table_recognisers(const Experiment& experiment);

// The experiment and the store must outlive it.
Study study_of(const Experiment& experiment, const std::vector<std::vector<std::string>>& people,
               const ArtifactStore& store);

// runs/<name>/<short hash of what was resolved>, below the working folder.
fs::path default_run_folder(const Experiment& experiment);

// Runs it and writes config.resolved.json, run.json (facts about the data and the program; date, commit, machine),
// rows.csv, trials.csv, others.csv, budget.csv, rejected.csv and table.csv to `folder`, and for tables that need them
// strangers.csv, thresholds.csv, pairs.csv, displacements.csv, links.csv, impersonations.csv, rounds.csv and
// detections.csv, and those tables.
// Refuses a folder that holds another config's run: Error(usage).
void run_experiment(const Experiment& experiment, const fs::path& folder, ArtifactStore& store);

// Makes the artefacts of the run that the store lacks, together with other processes; see share(). Writes nothing
// outside the store.
void share_experiment(const Experiment& experiment, const Part& part, ArtifactStore& store);

// The planned run: a row for each extractor, attack and classifier; notes say where, and how much work is left.
Table plan(const Experiment& experiment, const std::vector<PlannedUnit>& units);

// Adds all work of a run to the plan. If photos are not prepared yet, only preparing them is known.
void add_to_plan(const Experiment& experiment, Plan& plan);

}  // namespace facepoison
