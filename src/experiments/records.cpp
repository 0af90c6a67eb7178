#include "experiments/records.hpp"

#include <algorithm>

#include "facepoison/classifier.hpp"

namespace facepoison {
namespace {

// The shares for which a rule with a threshold is recorded, as a curve.
const std::vector<double> shares = {0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1};

// The name of the predicted person; "" for nobody.
std::string name_of(const Study& study, Label label) {
  return label < 0 ? "" : study.split().people[static_cast<std::size_t>(label)];
}

bool has_curve(const Experiment& e) {
  return std::any_of(e.combine.begin(), e.combine.end(), [](const Pairing& pairing) { return pairing.has_curve(); });
}

}  // namespace

std::vector<std::string> columns_of(const Study& study, const std::vector<std::string>& more) {
  std::vector<std::string> columns = {"extractor"};
  for (const auto& [axis, value] : study.scenarios().front().coordinates) columns.push_back(axis);
  columns.push_back("classifier");
  columns.insert(columns.end(), more.begin(), more.end());
  return columns;
}

std::vector<Cell> joined(const Row& coordinates, std::vector<Cell> rest) {
  std::vector<Cell> cells(coordinates.begin(), coordinates.end());
  cells.insert(cells.end(), rest.begin(), rest.end());
  return cells;
}

Row coordinates_of(const std::string& recogniser, const Scenario& scenario, const std::string& classifier) {
  Row row = {recogniser};
  for (const auto& [axis, value] : scenario.coordinates) row.push_back(value);
  row.push_back(classifier);
  return row;
}

Results::Results(const fs::path& folder, const Experiment& experiment, const Study& study)
    : experiment_(experiment),
      study_(study),
      rows_(folder / "rows.csv", columns_of(study, {"left_out"})),
      trials_(folder / "trials.csv",
              columns_of(study, {"protected", "id", "person", "predicted", "distance", "correct", "rank"})),
      others_(folder / "others.csv", columns_of(study, {"protected", "n", "errors", "as_protected"})) {
  if (has_curve(experiment))
    thresholds_.emplace(folder / "thresholds.csv", columns_of(study, {"protected", "share", "threshold", "n", "errors",
                                                                      "others_n", "others_errors"}));
}

void Results::finish() {
  for (auto* file : {&rows_, &others_, &trials_}) file->finish();
  if (thresholds_) thresholds_->finish();
}

void Results::record(const Row& coordinates, const Scenario& scenario, const std::vector<Answer>& answers) {
  rows_.add(joined(coordinates, {static_cast<std::int64_t>(scenario.left_out)}));
  for (std::size_t p = 0; p < answers.size(); ++p) {
    const auto& person = scenario.trials[p].person;
    const auto& answer = answers[p];
    const auto& probes = study_.split().probes_of(person);
    for (std::size_t i = 0; i < probes.size(); ++i) {
      const auto& photo = experiment_.dataset.photos[probes[i]];
      const auto predicted = name_of(study_, answer.labels[i]);
      const Cell rank = answer.ranks[i] < 0 ? Cell("") : Cell(answer.ranks[i]);
      trials_.add(joined(coordinates, {person, photo.id, photo.person, predicted, answer.distances[i],
                                       static_cast<std::int64_t>(predicted == person), rank}));
    }
    others_.add(joined(coordinates, {person, answer.others, answer.others_errors, answer.others_as_person}));
  }
}

void Results::record_curve(const Row& coordinates, const Combined& combined, std::size_t trial,
                           const std::string& person, Label label) {
  for (const auto share : shares) {
    const auto threshold = combined.threshold(label, share);
    const auto answer = combined.answer(trial, label, threshold);
    const auto errors =
        std::count_if(answer.labels.begin(), answer.labels.end(), [&](const auto guess) { return guess != label; });
    thresholds_->add(joined(coordinates, {person, share, threshold, static_cast<std::int64_t>(answer.labels.size()),
                                          static_cast<std::int64_t>(errors), answer.others, answer.others_errors}));
  }
}

void Results::record_combined(const Pairing& pairing, const std::map<Row, Answers>& answers) {
  for (const auto& scenario : study_.scenarios())
    for (const auto& classifier : experiment_.classifiers) {
      const auto& accurate = answers.at(coordinates_of(pairing.accurate, scenario, classifier.name));
      const auto& robust = answers.at(coordinates_of(pairing.robust, scenario, classifier.name));
      const Combined combined(pairing, accurate, robust, study_.probes(scenario), study_.split().people, scenario.seed);
      const auto coordinates = coordinates_of(pairing.name, scenario, classifier.name);
      std::vector<Answer> joint;
      for (std::size_t t = 0; t < scenario.trials.size(); ++t) {
        const auto& person = scenario.trials[t].person;
        const auto label = study_.split().label_of(person);
        joint.push_back(combined.answer(t, label, combined.threshold(label, pairing.share)));
        // A person who is absent, or has all photos dropped by a filter, is not enrolled and does not count as
        // protected.
        const auto& ranks = joint.back().ranks;
        const bool enrolled = std::find(ranks.begin(), ranks.end(), 0) == ranks.end();
        if (enrolled && pairing.has_curve()) record_curve(coordinates, combined, t, person, label);
      }
      record(coordinates, scenario, joint);
    }
}

DetectionStages detection_stages(const Experiment& e, const Study& study,
                                 const std::shared_ptr<const FeatureExtractor>& detector, TreatmentId treatment) {
  return {embed_stage(study.photos().clean(treatment), detector, e.options),
          embed_stage(study.photos().photos(treatment), detector, e.options)};
}

void record_detections(const fs::path& folder, const Experiment& e, Study& study, Executor& executor) {
  TableFile file(folder / "detections.csv", {"detector", "trained_on", "threshold", "attack", "transform", "seed",
                                             "protected", "id", "clean", "perturbed"});
  for (const auto& detector : e.detectors) {
    const Card& card = detector->card();
    for (std::size_t number = 1; number < study.photos().size(); ++number) {
      const TreatmentId t(number);
      const auto& treatment = study.photos().treatment(t);
      const auto& transform = treatment.transform;
      if (!treatment.attack) continue;
      const auto stages = detection_stages(e, study, detector, t);
      for (const auto& stage : {stages.clean, stages.posted}) executor.run(stage);
      const auto clean = scores_of(stages.clean->read(executor.store())),
                 perturbed = scores_of(stages.posted->read(executor.store()));
      const auto& posted = study.photos().photos(t).list();
      for (std::size_t i = 0; i < posted.size(); ++i)
        file.add({card.name, listed(card.trained_against), card.threshold, name_of(treatment),
                  transform ? transform->name() : "none", static_cast<std::int64_t>(treatment.seed), posted[i].person,
                  posted[i].id, clean[i], perturbed[i]});
    }
  }
  file.finish();
}

void record_strangers(const fs::path& folder, const Experiment& e, Study& study, Executor& executor) {
  std::vector<std::string> columns = {"extractor"};
  for (const auto& axis : axis_columns)
    if (!axis.is_of_the_protected) columns.emplace_back(axis.name);
  columns.insert(columns.end(), {"classifier", "person", "id", "predicted", "distance"});
  TableFile file(folder / "strangers.csv", columns);
  const auto all = strangers(e, study.scenarios());
  for (const auto& extractor : e.extractors)
    for (const auto& scenario : all)
      for (const auto& classifier : e.classifiers) {
        const auto coordinates = coordinates_of(extractor->card().name, scenario, classifier.name);
        const auto label = concat("strangers, ", extractor->card().name, ", ", classifier.name);
        const auto recogniser = make_recogniser(extractor, classifier, e.options);
        const auto stage = recogniser->stage(study, scenario, label);
        executor.run(stage);
        const auto answers = stage->read(executor.store()).trials;
        for (std::size_t t = 0; t < answers.size(); ++t) {
          const auto& person = scenario.trials[t].person;
          const auto probes = study.split().probes_of(person);
          for (std::size_t i = 0; i < probes.size(); ++i)
            file.add(joined(coordinates, {person, e.dataset.photos[probes[i]].id, name_of(study, answers[t].labels[i]),
                                          answers[t].distances[i]}));
        }
      }
  file.finish();
}

}  // namespace facepoison
