// Runs an experiment: makes every treatment's pictures, then every recogniser's answers to every scenario.
#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "facepoison/classifier.hpp"
#include "facepoison/error.hpp"
#include "facepoison/experiment.hpp"
#include "facepoison/log.hpp"
#include "facepoison/photos.hpp"
#include "facepoison/recogniser.hpp"
#include "facepoison/report.hpp"
#include "facepoison/trial.hpp"
#include "facepoison/version.hpp"
#include "experiments/growth_file.hpp"
#include "experiments/measures.hpp"
#include "experiments/records.hpp"

namespace facepoison {
namespace {

// A recogniser's planned answers to a scenario: a row of the table, except for combined recognisers.
struct PlannedRow {
  Row coordinates;
  std::shared_ptr<const FeatureExtractor> extractor;
  const Scenario& scenario;
  std::shared_ptr<AnswerStage> answers;
  std::shared_ptr<GrowthStage> growth;  // none unless the table is wanted
};

// A scenario's part of the progress label: the attack, and its values on the axes on which scenarios differ.
std::string label_of(const std::vector<Scenario>& all, const Scenario& scenario) {
  std::string label;
  for (std::size_t axis = 0; axis < scenario.coordinates.size(); ++axis) {
    const auto& [name, value] = scenario.coordinates[axis];
    const auto differs = [&, &value = value](const Scenario& one) { return one.coordinates[axis].second != value; };
    if (name == "attack" || std::any_of(all.begin(), all.end(), differs)) label += ", " + value;
  }
  return label;
}

// Calls `act` for each row, in the table's order. A row is planned when the one before is done, so that memory does not
// grow with the table.
void for_each_row(const Experiment& e, Study& study, const std::function<void(const PlannedRow&)>& act) {
  for (const auto& extractor : e.extractors)
    for (const auto& scenario : study.scenarios())
      for (const auto& classifier : e.classifiers) {
        const auto label = concat(extractor->card().name, label_of(study.scenarios(), scenario), ", ", classifier.name);
        const auto recogniser = make_recogniser(extractor, classifier, e.options);
        const bool grows = e.wants("growth") && !scenario.filter;
        act({coordinates_of(extractor->card().name, scenario, classifier.name), extractor, scenario,
             recogniser->stage(study, scenario, concat("identify, ", label)),
             grows ? growth_stage(study, extractor, scenario, *classifier.classifier, concat("grow, ", label))
                   : nullptr});
      }
}

std::vector<TreatmentId> treatments_of(const Study& study) {
  std::vector<TreatmentId> all;
  for (std::size_t t = 1; t < study.photos().size(); ++t) all.emplace_back(t);
  return all;
}

// Every network of the run, once; the attacks' surrogates come first.
std::vector<TriedNetwork> networks_of(const Experiment& e) {
  std::vector<TriedNetwork> networks;
  std::set<const FeatureExtractor*> known;
  const auto add = [&](const std::shared_ptr<const FeatureExtractor>& extractor, bool is_attacked) {
    if (extractor && known.insert(extractor.get()).second) networks.push_back({extractor, is_attacked});
  };
  for (const auto& one : combinations(e.axes)) {
    for (const auto& [attack, share] : one.attack->parts)
      for (const auto& surrogate : attack->all_surrogates()) add(surrogate, true);
    if (one.probes.attack)
      for (const auto& surrogate : one.probes.attack->all_surrogates()) add(surrogate, true);
  }
  for (const auto& one : e.axes.each(Axis::filter)) add(one.filter, false);
  for (const auto* some : {&e.extractors, &e.detectors})
    for (const auto& extractor : *some) add(extractor, false);
  return networks;
}

// Adds an attack's caveats and surrogates, and those of the attacks before it, unless they are `noted` already.
void note_attack(const Attack& attack, std::set<std::string>& noted, Json& notes) {
  const auto& settings = attack.settings();
  if (!noted.insert(settings.name).second) return;
  for (const auto& earlier : settings.after) note_attack(*earlier, noted, notes);
  for (const auto& note : settings.notes) notes.push_back(note);
  std::vector<std::string> surrogates;
  for (const auto& surrogate : attack.all_surrogates()) surrogates.push_back(surrogate->card().name);
  if (!surrogates.empty()) notes.push_back(concat("attack ", settings.name, " optimises against ", listed(surrogates)));
}

Json run_facts(const Experiment& e, const std::vector<std::string>& deviations) {
  Json notes = Json::array();
  const auto everybody = e.dataset.people().size() - e.distractors.size();
  notes.push_back(concat("data: ", everybody, " people, ", e.dataset.photos.size() - e.distractors.size(), " photos (",
                         e.train.size(), " train, ", e.test.size(), " test), ", e.dataset.rejected,
                         " rejected; manifest sha256 ", e.dataset.manifest_sha256.substr(0, 16)));
  if (const auto note = perturbed_note(e.dataset.photos); !note.empty())
    notes.push_back(note + " before; here they are taken for clean ones");
  for (const auto& note : duplicate_notes(e.dataset)) notes.push_back(note);
  if (e.gallery_photos) notes.push_back(concat("gallery: at most ", e.gallery_photos, " train photos of a person"));
  if (!e.distractors.empty())
    notes.push_back(concat("distractors: one photo of each of ", e.distractors.size(),
                           " people of another data set; manifest sha256 ", e.distractors_sha256.substr(0, 16)));
  if (const auto note = several_faces_note(e.dataset); !note.empty()) notes.push_back(note);
  std::vector<std::string> seeds;
  for (const auto seed : e.axes.seeds()) seeds.push_back(std::to_string(seed));
  const bool all = e.axes.is_neutral(Axis::clean_photos) && e.axes.is_neutral(Axis::enrolled);
  notes.push_back(concat("protected: ", e.protected_people.front().size(), " of ", e.eligible.size(),
                         " people with train and test photos (", everybody - e.eligible.size(),
                         " others stay in the gallery), ",
                         e.axes.is_neutral(Axis::together) ? "one at a time, " : "one at a time or half together, ",
                         all ? "all their training photos replaced" : "their training photos as each row says",
                         seeds.size() > 1 ? "; seeds " : "; seed ", listed(seeds)));
  notes.push_back(concat("precision ", precision_name(e.options), ", device ", device_name(e.options), ", facepoison ",
                         version(), " ", commit(), ", LibTorch ", libtorch_version(), ", OpenCV ", opencv_version()));
  if (e.dataset.photos.front().landmarks)
    notes.push_back(
        "deviation: each recogniser aligns by the clean photo's landmarks, for perturbed photos too; the paper's code "
        "squashes crops instead");
  for (const auto& extractor : e.extractors) {
    const Card& card = extractor->card();
    if (!card.style_name.empty())
      notes.push_back(concat(card.name, ": a small stand-in in the style of ", card.style_name, " (", card.style_year,
                             "), never the published model; trained ", card.released));
    if (!card.verified.empty() && card.verified != "sha256")
      notes.push_back(concat(card.name, ": its published file was verified by ", card.verified,
                             " (its sha256 begins with ", card.origin.substr(0, 16),
                             "): no sha256 of it is published"));
  }
  for (const auto* sentences : {&deviations, &e.seen})
    for (const auto& sentence : *sentences) notes.push_back(sentence);
  for (const auto& card : e.absent)
    notes.push_back(concat(card.name, " (", card.release(), ") was skipped: its weights are not here",
                           card.how_to_get().empty() ? "" : "; to get them: " + card.how_to_get()));
  if (!e.axes.is_neutral(Axis::transform))
    notes.push_back("transforms act on the canvas, after a photo was aligned, not on the file that was posted");
  std::set<std::string> noted;
  for (const auto& one : e.axes.each(Axis::attack)) {
    const auto& posting = *one.attack;
    for (const auto& [attack, share] : posting.parts) {
      if (posting.parts.size() > 1)
        notes.push_back(concat("attack ", posting.name, ": ", share, " of an album by ", attack->settings().name));
      note_attack(*attack, noted, notes);
    }
  }
  for (const auto& one : e.axes.each(Axis::probes))
    if (one.probes.attack) note_attack(*one.probes.attack, noted, notes);
  const auto where = machine(e.options.device);
  Json facts = {{"notes", notes}, {"date", utc_time()}, {"commit", commit()}, {"machine", where}};
  if (!e.command.empty()) facts["command"] = e.command;
  return facts;
}

// The hash that identifies a run. It holds the data set's manifest, not its path on this machine.
std::string config_hash(Json resolved) {
  resolved.erase("dataset");
  return sha256(resolved.dump());
}

void claim(const Experiment& e, const fs::path& folder) {
  remove_left_over(folder);
  const fs::path file = folder / "config.resolved.json";
  if (fs::exists(file) && config_hash(read_json(file)) != config_hash(e.resolved))
    throw Error(Exit::usage,
                concat(folder.string(),
                       " holds another config's run; choose another --run-dir, or leave it out for a separate folder"));
  if (!fs::exists(file) && fs::exists(folder) && !fs::is_empty(folder))
    throw Error(Exit::usage,
                concat(folder.string(), " holds files that are not a run; choose an empty or a new --run-dir"));
  write_file(file, e.resolved.dump(1) + "\n");
}

}  // namespace

fs::path default_run_folder(const Experiment& e) {
  return fs::absolute(fs::path("runs") / e.name / config_hash(e.resolved).substr(0, 12));
}

void run_experiment(const Experiment& e, const fs::path& folder, ArtifactStore& store) {
  claim(e, folder);
  Study study = study_of(e, e.protected_people, store);
  Executor executor(store, {.elsewhere = e.options.elsewhere});
  const auto trial = trial_stage(networks_of(e), e.options);
  executor.run(trial);
  std::vector<Audit> budget;
  for (const auto t : treatments_of(study)) {
    for (const auto& stage : study.photos().stages(t)) executor.run(stage);
    const auto rows = study.photos().budget(t, store);
    budget.insert(budget.end(), rows.begin(), rows.end());
  }
  Results results(folder, e, study);
  Measures measures(folder, e, study, executor);
  std::optional<GrowthFile> growth;
  if (e.wants("growth")) growth.emplace(folder, study);
  std::set<std::string> partners;
  for (const auto& pairing : e.combine) partners.insert({pairing.accurate, pairing.robust});
  std::map<Row, Answers> kept;
  for_each_row(e, study, [&](const PlannedRow& row) {
    executor.run(row.answers);
    auto answers = row.answers->read(store);
    results.record(row.coordinates, row.scenario, answers.trials);
    measures.of(row.extractor, row.scenario);
    if (row.growth) {
      executor.run(row.growth);
      growth->record(row.coordinates, *row.growth, store);
    }
    if (partners.count(row.coordinates.front())) kept.emplace(row.coordinates, std::move(answers));
  });
  for (const auto& pairing : e.combine) results.record_combined(pairing, kept);
  if (e.wants("open-set")) record_strangers(folder, e, study, executor);
  if (e.wants("detection")) record_detections(folder, e, study, executor);

  write_file(folder / "run.json", run_facts(e, trial->notes(store)).dump(1) + "\n");
  write_file(folder / "rejected.csv", fs::exists(e.dataset.folder / "rejected.csv")
                                          ? read_file(e.dataset.folder / "rejected.csv")
                                          : "id,person,reason\n");
  write_file(folder / "budget.csv", print(budget_table(budget), Format::csv));
  results.finish();
  measures.finish();
  if (growth) growth->finish();
  write_file(folder / "table.csv", print(table_of_run(folder, false), Format::csv));
  for (const auto& name : e.tables)
    if (name != "protection") write_file(folder / (name + ".csv"), print(table_row(name).make(folder), Format::csv));
  log_debug(concat("store: ", store.hits(), " blocks found, ", store.misses(), " made"));
}

namespace {

// Calls `act` for each stage of a run, except those that are only inputs of others.
void for_each_stage(const Experiment& e, Study& study, const std::vector<Scenario>& of_strangers,
                    const std::function<void(const std::shared_ptr<Stage>&)>& act) {
  act(trial_stage(networks_of(e), e.options));
  for (const auto t : treatments_of(study))
    for (const auto& stage : study.photos().stages(t)) act(stage);
  for_each_row(e, study, [&](const PlannedRow& row) {
    act(row.answers);
    if (row.growth) act(row.growth);
  });
  for (const auto& detector : e.detectors)
    for (const auto t : treatments_of(study)) {
      if (!study.photos().treatment(t).attack) continue;
      const auto stages = detection_stages(e, study, detector, t);
      for (const auto& stage : {stages.clean, stages.posted}) act(stage);
    }
  for (const auto& extractor : e.extractors)
    for (const auto& scenario : of_strangers)
      for (const auto& classifier : e.classifiers)
        act(make_recogniser(extractor, classifier, e.options)->stage(study, scenario, "strangers"));
}

std::vector<Scenario> scenarios_of_strangers(const Experiment& e, const Study& study) {
  return e.wants("open-set") ? strangers(e, study.scenarios()) : std::vector<Scenario>();
}

}  // namespace

void add_to_plan(const Experiment& e, Plan& plan) {
  if (!e.is_prepared()) return plan.add(e.dataset.prepare);
  Study study = study_of(e, e.protected_people, plan.store());
  for_each_stage(e, study, scenarios_of_strangers(e, study), [&](const auto& stage) { plan.add(stage); });
}

void share_experiment(const Experiment& e, const Part& part, ArtifactStore& store) {
  Study study = study_of(e, e.protected_people, store);
  const auto of_strangers = scenarios_of_strangers(e, study);
  std::vector<std::shared_ptr<Stage>> stages;
  for_each_stage(e, study, of_strangers, [&](const auto& stage) { stages.push_back(stage); });
  share(std::move(stages), part, store);
}

}  // namespace facepoison
