// The main job: for each extractor, attack and classifier, each protected person's training photos are replaced by
// perturbed ones, and that person's clean test photos are identified against everybody.
#pragma once
#include "facepoison/axes.hpp"
#include "facepoison/expect.hpp"
#include "facepoison/prepare.hpp"
#include "facepoison/recogniser.hpp"

namespace facepoison {

// A config, read and checked to the last key before the first network is loaded.
struct Experiment {
  std::string name;     // the config's file stem
  std::string command;  // by which it is run; decides nothing
  Dataset dataset;
  std::vector<PhotoRow> train, test;                                // of the data set
  std::vector<std::string> eligible;                                // by name
  std::vector<std::vector<std::string>> protected_people;           // of each seed, in the order of its draw
  std::vector<std::shared_ptr<const FeatureExtractor>> extractors;  // by release
  std::vector<std::string> seen;  // a sentence for each extractor of which is known whom it saw in training
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

// Config keys: dataset (a data set, or a folder of photos, which is prepared into the store first), protected ("all" |
// K | [names]), extractors, the keys of axis_registry(), classifiers, device, precision, absent ("refuse", or "skip"
// extractors whose weights are not here), combine (a list of Pairing's keys), detectors (cloak detectors by name or
// card), tables, false_positive_rate, prepare (an object of PrepareOptions' keys, for a folder of photos),
// allow_perturbed (else a data set with perturbed photos is refused: Error(input)). `overrides` are KEY=VALUE; KEY may
// be dotted; VALUE is JSON where it parses, else a text. Paths in the config are from its folder, in overrides from the
// working folder. `expectations` must mean rows of what will be run: that is checked before any photo is prepared.
// Throws Error(usage | input | model). Where the store may only be read and a folder of photos is not
// prepared yet, the experiment has no photos: who is in it is not known, nor what it resolves to.
Experiment read_experiment(const fs::path& config, const std::vector<std::string>& overrides, bool trust_model,
                           ArtifactStore& store, const std::vector<Expectation>& expectations = {});

// The data set of such a config, with the photos of its protected people alone, of all its seeds: nothing else of the
// config is read, for the recognisers that it names may be still to train.
Dataset protected_photos(const fs::path& config, ArtifactStore& store);

// Every combination of the config's axes, with the trials of these people, of each seed; the rows of the tables in
// their order.
Scenarios scenarios(const Experiment& experiment, const std::vector<std::vector<std::string>>& people);

// Without each of the eligible people who are nowhere protected, of everybody's galleries, transforms as they are: what
// a stranger looks like to the trainer. A subset of the coordinates.
std::vector<Scenario> strangers(const Experiment& experiment, const std::vector<Scenario>& scenarios);

// A recogniser as the tables' column "extractor" names it: an extractor, or a combination of two.
struct TableRecogniser {
  std::string name, released;
  std::vector<const FeatureExtractor*> extractors;  // the last is who is asked last; the experiment owns them
};
std::vector<TableRecogniser> table_recognisers(const Experiment& experiment);

// The experiment and the store must outlive it.
Study study_of(const Experiment& experiment, const std::vector<std::vector<std::string>>& people,
               const ArtifactStore& store);

// runs/<name>/<short hash of what was resolved>, below the working folder.
fs::path default_run_folder(const Experiment& experiment);

// Runs it and writes config.resolved.json, run.json (facts about the data and the program; date, commit, machine),
// rows.csv, trials.csv, others.csv, budget.csv, rejected.csv and table.csv to `folder`, and for tables that want them
// strangers.csv, thresholds.csv, pairs.csv, displacements.csv and detections.csv, and those tables.
// Refuses a folder that holds another config's run: Error(usage).
void run_experiment(const Experiment& experiment, const fs::path& folder, ArtifactStore& store);

// Makes what the run takes and the store has not, together with other processes that do likewise; see share(). Writes
// nothing outside the store.
void share_experiment(const Experiment& experiment, const Part& part, ArtifactStore& store);

// What would be run, a row for each extractor, attack and classifier; notes say where, and how much there is to make.
Table plan(const Experiment& experiment, const std::vector<PlannedUnit>& units);

// Adds all that a run takes to the plan. Of photos that were not prepared yet, preparing them is all that is known.
void add_to_plan(const Experiment& experiment, Plan& plan);

}  // namespace facepoison
