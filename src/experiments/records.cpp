#include "experiments/records.hpp"

#include <algorithm>

#include "facepoison/classifier.hpp"

namespace facepoison {
namespace {

// The curve of a rule with a threshold: what each share would have given.
const std::vector<double> shares = {0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1};

// Whom a probe is taken for: "" for nobody.
std::string name_of(const World& world, std::int64_t label) {
  return label < 0 ? "" : world.people()[static_cast<std::size_t>(label)];
}

bool has_curve(const Experiment& e) {
  return std::any_of(e.combine.begin(), e.combine.end(), [](const Pairing& pairing) { return pairing.has_curve(); });
}

}  // namespace

std::vector<std::string> columns_of(const World& world, const std::vector<std::string>& more) {
  std::vector<std::string> columns = {"extractor"};
  for (const auto& [axis, value] : world.scenarios().front().at) columns.push_back(axis);
  columns.push_back("classifier");
  columns.insert(columns.end(), more.begin(), more.end());
  return columns;
}

std::vector<Cell> joined(const Row& cell, std::vector<Cell> rest) {
  std::vector<Cell> cells(cell.begin(), cell.end());
  cells.insert(cells.end(), rest.begin(), rest.end());
  return cells;
}

Row cell_of(const std::string& recogniser, const Scenario& scenario, const std::string& classifier) {
  Row cell = {recogniser};
  for (const auto& [axis, value] : scenario.at) cell.push_back(value);
  cell.push_back(classifier);
  return cell;
}

Results::Results(const fs::path& folder, const Experiment& experiment, World& world)
    : experiment_(experiment),
      world_(world),
      rows_(folder / "rows.csv", columns_of(world, {"left_out"})),
      trials_(folder / "trials.csv",
              columns_of(world, {"protected", "id", "person", "predicted", "distance", "correct", "rank"})),
      others_(folder / "others.csv", columns_of(world, {"protected", "n", "errors", "as_protected"})) {
  if (has_curve(experiment))
    thresholds_.emplace(folder / "thresholds.csv", columns_of(world, {"protected", "share", "threshold", "n", "errors",
                                                                      "others_n", "others_errors"}));
}

void Results::finish() {
  for (auto* file : {&rows_, &others_, &trials_}) file->finish();
  if (thresholds_) thresholds_->finish();
}

void Results::record(const Row& cell, const Scenario& scenario, const std::vector<Answer>& answers) {
  rows_.add(joined(cell, {static_cast<std::int64_t>(scenario.left_out)}));
  for (std::size_t p = 0; p < answers.size(); ++p) {
    const auto& person = scenario.games[p].person;
    const auto& answer = answers[p];
    const auto& probes = world_.probes_of(person);
    for (std::size_t i = 0; i < probes.size(); ++i) {
      const auto& photo = experiment_.dataset.photos[probes[i]];
      const auto predicted = name_of(world_, answer.labels[i]);
      const Cell rank = answer.ranks[i] < 0 ? Cell("") : Cell(answer.ranks[i]);
      trials_.add(joined(cell, {person, photo.id, photo.person, predicted, answer.distances[i],
                                static_cast<std::int64_t>(predicted == person), rank}));
    }
    others_.add(joined(cell, {person, answer.others, answer.others_errors, answer.others_as_person}));
  }
}

void Results::record_curve(const Row& cell, const Combined& combined, std::size_t game, const std::string& person,
                           std::int64_t label) {
  for (const auto share : shares) {
    const auto threshold = combined.threshold(label, share);
    const auto answer = combined.answer(game, label, threshold);
    const auto errors =
        std::count_if(answer.labels.begin(), answer.labels.end(), [&](const auto guess) { return guess != label; });
    thresholds_->add(joined(cell, {person, share, threshold, static_cast<std::int64_t>(answer.labels.size()),
                                   static_cast<std::int64_t>(errors), answer.others, answer.others_errors}));
  }
}

void Results::record_combined(const Pairing& pairing, const std::map<Row, Answers>& answers) {
  for (const auto& scenario : world_.scenarios())
    for (const auto& classifier : experiment_.classifiers) {
      const auto& accurate = answers.at(cell_of(pairing.accurate, scenario, classifier.name));
      const auto& robust = answers.at(cell_of(pairing.robust, scenario, classifier.name));
      const Combined combined(pairing, accurate, robust, world_.probes(scenario), world_.people(), scenario.seed);
      const auto cell = cell_of(pairing.name, scenario, classifier.name);
      std::vector<Answer> joint;
      for (std::size_t g = 0; g < scenario.games.size(); ++g) {
        const auto& person = scenario.games[g].person;
        const auto label = world_.label_of(person);
        joint.push_back(combined.answer(g, label, combined.threshold(label, pairing.share)));
        // Who is absent, or of whom a filter left nothing, is not called protected.
        const auto& ranks = joint.back().ranks;
        const bool enrolled = std::find(ranks.begin(), ranks.end(), 0) == ranks.end();
        if (enrolled && pairing.has_curve()) record_curve(cell, combined, g, person, label);
      }
      record(cell, scenario, joint);
    }
}

void record_detections(const fs::path& folder, const Experiment& e, World& world) {
  TableFile file(folder / "detections.csv", {"detector", "trained_on", "threshold", "attack", "transform", "seed",
                                             "protected", "id", "clean", "perturbed"});
  for (const auto& detector : e.detectors) {
    const Card& card = detector->card();
    for (std::int16_t t = 1; t < world.treatments(); ++t) {
      const auto& [attack, transform, seed] = world.treatment(t);
      if (!attack) continue;
      const auto clean = scores_of(embed(world.clean(t), *detector, e.options, world.store()));
      const auto& posted = world.posted(t).photos;
      const auto perturbed = scores_of(embed(posted, *detector, e.options, world.store()));
      for (std::size_t i = 0; i < posted.size(); ++i)
        file.add({card.name, listed(card.trained_against), card.threshold, attack->settings().name,
                  transform ? transform->name() : "none", static_cast<std::int64_t>(seed), posted[i].person,
                  posted[i].id, clean[i], perturbed[i]});
    }
  }
  file.finish();
}

void record_strangers(const fs::path& folder, const Experiment& e, World& world) {
  std::vector<std::string> columns = {"extractor"};
  for (const auto& axis : axis_columns)
    if (!axis.is_of_the_protected) columns.emplace_back(axis.name);
  columns.insert(columns.end(), {"classifier", "person", "id", "predicted", "distance"});
  TableFile file(folder / "strangers.csv", columns);
  for (const auto& extractor : e.extractors)
    for (const auto& scenario : strangers(e, world.scenarios()))
      for (const auto& classifier : e.classifiers) {
        const auto cell = cell_of(extractor->card().name, scenario, classifier.name);
        const auto label = concat("strangers, ", extractor->card().name, ", ", cell.back());
        const auto answers = make_recogniser(extractor, classifier, e.options)->answer(world, scenario, label).games;
        for (std::size_t g = 0; g < answers.size(); ++g) {
          const auto& person = scenario.games[g].person;
          const auto& probes = world.probes_of(person);
          for (std::size_t i = 0; i < probes.size(); ++i)
            file.add(joined(cell, {person, e.dataset.photos[probes[i]].id, name_of(world, answers[g].labels[i]),
                                   answers[g].distances[i]}));
        }
      }
  file.finish();
}

}  // namespace facepoison
