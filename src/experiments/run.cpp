// The run: every treatment's pictures, then every recogniser's answers to every scenario.
#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>

#include "facepoison/classifier.hpp"
#include "facepoison/error.hpp"
#include "facepoison/experiment.hpp"
#include "facepoison/log.hpp"
#include "facepoison/recogniser.hpp"
#include "facepoison/report.hpp"
#include "facepoison/version.hpp"
#include "experiments/measures.hpp"

namespace facepoison {
namespace {

// The coordinates of a row of the tables, then what a file has of it.
std::vector<std::string> columns_of(const World& world, const std::vector<std::string>& more) {
  std::vector<std::string> columns = {"extractor"};
  for (const auto& [axis, value] : world.scenarios().front().at) columns.push_back(axis);
  columns.push_back("classifier");
  columns.insert(columns.end(), more.begin(), more.end());
  return columns;
}

struct Results {
  TableFile rows, trials, others;
  std::optional<TableFile> thresholds;
  Results(const fs::path& folder, const World& world, bool with_thresholds)
      : rows(folder / "rows.csv", columns_of(world, {"left_out"})),
        trials(folder / "trials.csv",
               columns_of(world, {"protected", "id", "person", "predicted", "distance", "correct", "rank"})),
        others(folder / "others.csv", columns_of(world, {"protected", "n", "errors", "as_protected"})) {
    if (with_thresholds)
      thresholds.emplace(folder / "thresholds.csv", columns_of(world, {"protected", "share", "threshold", "n", "errors",
                                                                       "others_n", "others_errors"}));
  }
  void finish() {
    for (auto* file : {&rows, &others, &trials}) file->finish();
    if (thresholds) thresholds->finish();
  }
};

bool varies(const World& world, std::size_t axis) {
  const auto& all = world.scenarios();
  return std::any_of(all.begin(), all.end(), [&](const auto& one) { return one.at[axis] != all.front().at[axis]; });
}

using Row = std::vector<std::string>;  // coordinates

Row cell_of(const std::string& recogniser, const Scenario& scenario, const Json& classifier) {
  Row cell = {recogniser};
  for (const auto& [axis, value] : scenario.at) cell.push_back(value);
  cell.push_back(classifier_name(classifier));
  return cell;
}

std::vector<Cell> joined(const Row& cell, std::vector<Cell> rest) {
  std::vector<Cell> cells(cell.begin(), cell.end());
  cells.insert(cells.end(), rest.begin(), rest.end());
  return cells;
}

// Every extractor's answers, row of the table after row. `cell`: the row's coordinates.
using Sink =
    std::function<void(const Row& cell, const std::shared_ptr<const FeatureExtractor>&, const Scenario&, Answers)>;
void answer_all(const Experiment& e, World& world, const Sink& sink) {
  for (const auto& extractor : e.extractors)
    for (const auto& scenario : world.scenarios())
      for (const auto& classifier : e.classifiers) {
        const auto cell = cell_of(extractor->card().name, scenario, classifier);
        std::string label = concat("identify, ", extractor->card().name);
        for (std::size_t axis = 0; axis < scenario.at.size(); ++axis)
          if (scenario.at[axis].first == "attack" || varies(world, axis)) label += ", " + scenario.at[axis].second;
        label += ", " + cell.back();
        sink(cell, extractor, scenario, make_recogniser(extractor, classifier)->answer(world, scenario, label));
      }
}

// What strangers look like to each extractor, for the table open-set.
void record_strangers(const fs::path& folder, const Experiment& e, World& world) {
  TableFile file(folder / "strangers.csv", {"extractor", "transform", "transform_on", "seed", "classifier", "person",
                                            "id", "predicted", "distance"});
  for (const auto& extractor : e.extractors)
    for (const auto& scenario : strangers(e, world.scenarios()))
      for (const auto& classifier : e.classifiers) {
        const auto cell = cell_of(extractor->card().name, scenario, classifier);
        const auto label = concat("strangers, ", extractor->card().name, ", ", cell.back());
        const auto answers = make_recogniser(extractor, classifier)->answer(world, scenario, label).games;
        for (std::size_t g = 0; g < answers.size(); ++g) {
          const auto& person = scenario.games[g].person;
          const auto& probes = world.probes_of(person);
          for (std::size_t i = 0; i < probes.size(); ++i)
            file.add(joined(cell,
                            {person, e.dataset.photos[probes[i]].id,
                             world.people()[static_cast<std::size_t>(answers[g].labels[i])], answers[g].distances[i]}));
        }
      }
  file.finish();
}

void record(Results& results, const Experiment& e, const World& world, const Row& cell, const Scenario& scenario,
            const std::vector<Answer>& answers) {
  results.rows.add(joined(cell, {static_cast<std::int64_t>(scenario.left_out)}));
  for (std::size_t p = 0; p < answers.size(); ++p) {
    const auto& person = scenario.games[p].person;
    const auto& answer = answers[p];
    const auto& probes = world.probes_of(person);
    for (std::size_t i = 0; i < probes.size(); ++i) {
      const auto& photo = e.dataset.photos[probes[i]];
      const auto& predicted = world.people()[static_cast<std::size_t>(answer.labels[i])];
      const Cell rank = answer.ranks[i] < 0 ? Cell("") : Cell(answer.ranks[i]);
      results.trials.add(joined(cell, {person, photo.id, photo.person, predicted, answer.distances[i],
                                       static_cast<std::int64_t>(predicted == person), rank}));
    }
    results.others.add(joined(cell, {person, answer.others, answer.others_errors, answer.others_as_person}));
  }
}

// The curve of a rule with a threshold: what each share would have given.
const std::vector<double> shares = {0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1};

void record_thresholds(TableFile& file, const Row& cell, const Combined& combined, std::size_t game,
                       const std::string& person, std::int64_t label) {
  for (const auto share : shares) {
    const auto threshold = combined.threshold(label, share);
    const auto answer = combined.answer(game, label, threshold);
    const auto errors =
        std::count_if(answer.labels.begin(), answer.labels.end(), [&](const auto guess) { return guess != label; });
    file.add(joined(cell, {person, share, threshold, static_cast<std::int64_t>(answer.labels.size()),
                           static_cast<std::int64_t>(errors), answer.others, answer.others_errors}));
  }
}

// Two recognisers as one, from the answers of both. `answers`: by their cells.
void record_combined(Results& results, const Experiment& e, World& world, const Pairing& pairing,
                     const std::map<Row, Answers>& answers) {
  for (const auto& scenario : world.scenarios())
    for (const auto& classifier : e.classifiers) {
      const auto& accurate = answers.at(cell_of(pairing.accurate, scenario, classifier));
      const auto& robust = answers.at(cell_of(pairing.robust, scenario, classifier));
      const auto sides = world.sides(e.extractors.front(), scenario);  // for the labels, which are everybody's
      const auto seed =
          std::find_if(scenario.at.begin(), scenario.at.end(), [](const auto& axis) { return axis.first == "seed"; });
      const Combined combined(pairing, accurate, robust, sides, world.people(), std::stoull(seed->second));
      const auto cell = cell_of(pairing.name, scenario, classifier);
      std::vector<Answer> joint;
      for (std::size_t g = 0; g < scenario.games.size(); ++g) {
        const auto& person = scenario.games[g].person;
        const auto label =
            std::lower_bound(world.people().begin(), world.people().end(), person) - world.people().begin();
        joint.push_back(combined.answer(g, label, combined.threshold(label, pairing.share)));
        const bool posted = scenario.games[g].removed.empty();  // else nobody is called protected
        if (posted && pairing.has_curve())
          record_thresholds(results.thresholds.value(), cell, combined, g, person, label);
      }
      record(results, e, world, cell, scenario, joint);
    }
}

Json run_facts(const Experiment& e) {
  Json notes = Json::array();
  const auto everybody = e.dataset.people().size();
  notes.push_back(concat("data: ", everybody, " people, ", e.dataset.photos.size(), " photos (", e.train.size(),
                         " train, ", e.test.size(), " test), ", e.dataset.rejected, " rejected; manifest sha256 ",
                         e.dataset.manifest_sha256.substr(0, 16)));
  for (const auto& note : duplicate_notes(e.dataset)) notes.push_back(note);
  std::vector<std::string> seeds;
  for (const auto seed : e.axes.seeds) seeds.push_back(std::to_string(seed));
  const bool all =
      e.axes.clean_photos == std::vector<std::int64_t>{0} && e.axes.enrolled == std::vector<std::string>{"replaced"};
  notes.push_back(concat("protected: ", e.protected_people.front().size(), " of ", e.eligible.size(),
                         " people with train and test photos (", everybody - e.eligible.size(),
                         " others stay in the gallery), ",
                         e.axes.together == Axes().together ? "one at a time, " : "one at a time or half together, ",
                         all ? "all their training photos replaced" : "their training photos as each row says",
                         seeds.size() > 1 ? "; seeds " : "; seed ", listed(seeds)));
  notes.push_back(concat("precision ", precision_name(e.options), ", device ", device_name(e.options.device),
                         ", facepoison ", version(), " ", commit(), ", LibTorch ", libtorch_version(), ", OpenCV ",
                         opencv_version()));
  if (e.dataset.photos.front().landmarks)
    notes.push_back(
        "deviation: each recogniser aligns by the clean photo's landmarks, for perturbed photos too; the paper's code "
        "squashes crops instead");
  for (const auto& extractor : e.extractors) {
    const Card& card = extractor->card();
    if (!card.style_name.empty())
      notes.push_back(concat(card.name, ": a small stand-in in the style of ", card.style_name, " (", card.style_year,
                             "), never the published model; trained ", card.released));
  }
  for (const auto& sentence : e.seen) notes.push_back(sentence);
  for (const auto& card : e.absent)
    notes.push_back(concat(card.name, " (", card.release(), ") was skipped: its weights are not here",
                           card.how_to_get().empty() ? "" : "; to get them: " + card.how_to_get()));
  if (e.axes.transforms.size() > 1 || e.axes.transforms.front())
    notes.push_back("transforms act on the canvas, after a photo was aligned, not on the file that was posted");
  std::set<std::string> noted;
  for (const auto& posting : e.axes.attacks) {
    for (const auto& [attack, share] : posting.parts) {
      if (posting.parts.size() > 1)
        notes.push_back(concat("attack ", posting.name, ": ", share, " of an album by ", attack->settings().name));
      if (!noted.insert(attack->settings().name).second) continue;
      for (const auto& note : attack->settings().notes) notes.push_back(note);
      std::vector<std::string> surrogates;
      for (const auto& surrogate : attack->settings().surrogates) surrogates.push_back(surrogate->card().name);
      if (!surrogates.empty())
        notes.push_back(concat("attack ", attack->settings().name, " optimises against ", listed(surrogates)));
    }
  }
  const auto where = machine(e.options.device);
  return {{"notes", notes}, {"date", utc_time()}, {"commit", commit()}, {"machine", where}};
}

// The data set's place on this machine is no part of what was run: its manifest's hash is.
std::string config_hash(Json resolved) {
  resolved.erase("dataset");
  return sha256(resolved.dump());
}

void claim(const Experiment& e, const fs::path& folder) {
  const fs::path file = folder / "config.resolved.json";
  if (fs::exists(file) && config_hash(read_json(file)) != config_hash(e.resolved))
    throw Error(Exit::usage,
                concat(folder.string(),
                       " holds another config's run; name another --run-dir, or none for a folder of its own"));
  if (!fs::exists(file) && fs::exists(folder) && !fs::is_empty(folder))
    throw Error(Exit::usage, concat(folder.string(), " holds files that are no run; name an empty or a new --run-dir"));
  write_file(file, e.resolved.dump(1) + "\n");
}

}  // namespace

fs::path default_run_folder(const Experiment& e) {
  return fs::absolute(fs::path("runs") / e.name / config_hash(e.resolved).substr(0, 12));
}

void run_experiment(const Experiment& e, const fs::path& folder, ArtifactStore& store) {
  claim(e, folder);
  World world = world_of(e, e.protected_people, store);
  std::vector<Audit> budget;
  for (std::int16_t t = 1; t < world.treatments(); ++t) {
    const auto& rows = world.posted(t).budget;
    budget.insert(budget.end(), rows.begin(), rows.end());
  }
  const auto by_share = [](const Pairing& pairing) { return pairing.has_curve(); };
  Results results(folder, world, std::any_of(e.combine.begin(), e.combine.end(), by_share));
  Measures measures(folder, e, world);
  std::set<std::string> partners;
  for (const auto& pairing : e.combine) partners.insert({pairing.accurate, pairing.robust});
  std::map<Row, Answers> kept;
  answer_all(e, world, [&](const auto& cell, const auto& extractor, const Scenario& scenario, Answers answers) {
    record(results, e, world, cell, scenario, answers.games);
    measures.of(extractor, scenario);
    if (partners.count(cell.front())) kept.emplace(cell, std::move(answers));
  });
  for (const auto& pairing : e.combine) record_combined(results, e, world, pairing, kept);
  if (e.wants("open-set")) record_strangers(folder, e, world);

  write_file(folder / "run.json", run_facts(e).dump(1) + "\n");
  write_file(folder / "rejected.csv", fs::exists(e.dataset.folder / "rejected.csv")
                                          ? read_file(e.dataset.folder / "rejected.csv")
                                          : "id,person,reason\n");
  write_file(folder / "budget.csv", print(budget_table(budget), Format::csv));
  results.finish();
  measures.finish();
  write_file(folder / "table.csv", print(table_of_run(folder, false), Format::csv));
  for (const auto& name : e.tables)
    if (name != "protection") write_file(folder / (name + ".csv"), print(table_row(name).make(folder), Format::csv));
  log_debug(concat("store: ", store.hits(), " blocks found, ", store.misses(), " made"));
}

std::vector<PlannedUnit> planned_units(const Experiment& e, ArtifactStore& store) {
  std::vector<PlannedUnit> units;
  store.only_plan(units);
  World world = world_of(e, e.protected_people, store);
  for (std::int16_t t = 1; t < world.treatments(); ++t) world.posted(t);
  answer_all(e, world, [](const auto&, const auto&, const auto&, const auto&) {});
  if (e.wants("open-set"))
    for (const auto& extractor : e.extractors)
      for (const auto& scenario : strangers(e, world.scenarios()))
        for (const auto& classifier : e.classifiers)
          make_recogniser(extractor, classifier)->answer(world, scenario, "strangers");
  return units;
}

}  // namespace facepoison
