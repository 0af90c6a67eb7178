// Reads a config file with its overrides and checks every key.
#include "experiments/config.hpp"

#include <algorithm>
#include <set>

#include "facepoison/config_file.hpp"
#include "facepoison/error.hpp"
#include "facepoison/model.hpp"
#include "facepoison/photos.hpp"
#include "facepoison/report.hpp"
#include "experiments/combine.hpp"
#include "experiments/impersonation.hpp"
#include "experiments/repeats.hpp"

namespace facepoison {
namespace {

std::vector<std::string> read_tables(Spec& spec) {
  const auto wanted = spec.texts("tables", std::vector<std::string>{"protection"});
  for (const auto& name : wanted) table_row(name);
  refuse_repeats(spec, "tables", wanted, [](const std::string& name) { return name; });
  return wanted;
}

std::vector<ClassifierChoice> read_classifiers(const Spec& spec, const Json& wanted) {
  if (!wanted.is_array())
    spec.fail("classifiers", concat("found ", wanted.dump(), ", expected a list of names or objects"));
  std::vector<ClassifierChoice> choices;
  for (const auto& one : wanted) choices.push_back(choose_classifier(one));
  refuse_repeats(spec, "classifiers", choices, [](const auto& choice) { return choice.name; });
  return choices;
}

// The options for networks that other workers run: with the arithmetic of the only kind of workers that `word` names.
RunOptions options_elsewhere(const std::string& word, const std::string& precision, bool trust_model,
                             const ArtifactStore& store) {
  auto workers = store.workers();
  std::erase_if(workers, [&](const auto& one) { return one.find(word) == std::string::npos; });
  if (workers.empty())
    throw Error(Exit::usage, concat("device \"elsewhere\": no worker", word.empty() ? "" : " of " + word,
                                    " has used the store ", store.root().string(), " within a day; start it first"));
  if (workers.size() > 1)
    throw Error(
        Exit::usage,
        concat("device \"elsewhere\": workers of ", workers.size(), " kinds use the store ", store.root().string(),
               "; choose one by a word that only it has, as in elsewhere:cuda. ", "They are ", listed(workers)));
  auto options = run_options("cpu", precision == "tf32" ? "fp32" : precision, trust_model);
  options.tf32 = precision == "tf32";
  if (workers.front() != arithmetic(options).dump()) options.elsewhere = workers.front();
  return options;
}

RunOptions options_on(const std::string& device, const std::string& precision, bool trust_model,
                      const ArtifactStore& store) {
  constexpr std::string_view elsewhere = "elsewhere";
  if (device == elsewhere) return options_elsewhere("", precision, trust_model, store);
  if (device.starts_with(concat(elsewhere, ":")))
    return options_elsewhere(device.substr(elsewhere.size() + 1), precision, trust_model, store);
  return run_options(device, precision, trust_model);
}

// Reads the extractors' cards, and notes those that are skipped.
std::vector<Card> read_cards(Experiment& e, const Spec& spec, const std::vector<std::string>& names, bool skip_absent) {
  std::vector<Card> cards;
  for (const auto& name : names) {
    Card card = read_card(name);
    const bool absent = skip_absent && !fs::exists(model_path(card.file, card.path.parent_path()));
    (absent ? e.absent : cards).push_back(std::move(card));
  }
  if (names.empty()) spec.fail("extractors", "found an empty list, expected at least one");
  if (cards.empty())
    throw Error(Exit::model, concat(spec.where(), ": none of its ", e.absent.size(),
                                    " extractors is on this machine; facepoison list extractors says how to get each"));
  return cards;
}

// Checks that every extractor works with the classifier, and records the classifier's identity. A classifier that is
// trained end to end in each trial shares no embeddings with others and has no answer without a trial.
void check_recogniser(const Experiment& e, const Spec& spec, ClassifierChoice& choice) {
  for (const auto& extractor : e.extractors) {
    const auto settings = make_recogniser(extractor, choice, e.options)->settings();
    if (choice.identity.is_null()) choice.identity = settings;
  }
  if (choice.classifier) return;
  if (!e.combine.empty()) spec.fail("combine", "cannot be used with a classifier that is trained end to end");
  if (e.wants("open-set"))
    spec.fail("tables", "\"open-set\" cannot be used with end-to-end, which would train once without each stranger");
  if (e.wants("growth"))
    spec.fail("tables", "\"growth\" cannot be used with end-to-end, which would train in each round");
}

// Refuses tables with a threshold if nobody is left to set it, or to be judged by it.
void check_thresholds(const Experiment& e, const Spec& spec) {
  std::set<std::string> protected_people;
  for (const auto& drawn : e.protected_people) protected_people.insert(drawn.begin(), drawn.end());
  if (e.wants("open-set") && protected_people.size() == e.eligible.size())
    spec.fail("tables",
              "\"open-set\" sets its thresholds on people who are not protected, but here everybody is protected");
  check_impersonation(e, spec);
  const bool any_curve =
      std::any_of(e.combine.begin(), e.combine.end(), [](const auto& pairing) { return pairing.has_curve(); });
  if (e.wants("threshold") && !any_curve)
    spec.fail("tables", "\"threshold\" needs a \"combine\" with a threshold by share, and there is none");
  for (const auto& pairing : e.combine)
    if (pairing.has_curve() && e.eligible.size() < 4)
      spec.fail("combine", concat("\"", pairing.name,
                                  "\" needs half of the people to set its threshold and half to be judged by it: "
                                  "expected at least 4 people, found ",
                                  e.eligible.size()));
  for (const auto& one : e.axes.each(Axis::enrolled))
    if (one.enrolled == Enrolled::absent && e.dataset.people().size() < 2)
      spec.fail("enrolled", "\"absent\" leaves nobody in a gallery of one person");
}

}  // namespace

void anchor_experiment(Json& config, const fs::path& base) {
  if (!config.is_object()) return;
  const auto is_given = [&](const char* key) { return config.contains(key) && !config[key].is_null(); };
  if (is_given("seed") != is_given("seeds")) config[is_given("seed") ? "seeds" : "seed"] = nullptr;
  for (const auto* key : {"dataset", "distractors_from"})
    if (config.contains(key) && config[key].is_string() && config[key] != "")
      config[key] = (base / config[key].get<std::string>()).lexically_normal().string();
  const auto anchor_all = [&](const std::string& key, void (*anchor)(Json&, const fs::path&)) {
    if (!config.contains(key) || !config[key].is_array()) return;
    for (auto& value : config[key]) anchor(value, base);
  };
  for (const auto* key : {"extractors", "detectors"}) anchor_all(key, anchor_path);
  for (const auto& axis : axis_registry())
    if (axis.anchor) anchor_all(axis.keys.front(), axis.anchor);
}

bool Experiment::wants(const std::string& table) const {
  return std::find(tables.begin(), tables.end(), table) != tables.end();
}

Experiment read_experiment(const fs::path& config, const std::vector<std::string>& overrides, bool trust_model,
                           ArtifactStore& store, const std::vector<Expectation>& expectations) {
  const Json json = read_config(config, overrides, anchor_experiment);

  Experiment e;
  e.name = config.stem().string();
  Spec spec(json, config.string());
  const auto dataset = spec.text("dataset");
  const Json wanted = spec.raw("protected", Json("all"));
  const auto extractors = spec.texts("extractors");
  const Json classifiers = spec.raw("classifiers", Json::array({"nearest"}));
  for (const auto& axis : axis_registry())
    for (const auto& key : axis.keys) spec.raw(key, axis.neutral);  // known keys; their values are read below
  const auto device = spec.text("device", "auto"),
             precision = spec.choice("precision", {"fp32", "tf32", "bf16"}, "fp32");
  const bool skip_absent = spec.choice("absent", {"refuse", "skip"}, "refuse") == "skip";
  const auto prepare_options = PrepareOptions::of_config(spec);
  const bool allow_perturbed = spec.flag("allow_perturbed", false);
  const auto distractors_from = spec.text("distractors_from", "");
  e.gallery_photos = spec.integer("gallery_photos", 0, 1000000, 0);
  const Json combine = spec.raw("combine", Json::array());
  const auto detectors = spec.texts("detectors", std::vector<std::string>{});
  e.tables = read_tables(spec);
  e.false_positive_rate = spec.number("false_positive_rate", 1e-6, 1, e.false_positive_rate);
  spec.finish();

  e.options = options_on(device, precision, trust_model, store);
  e.classifiers = read_classifiers(spec, classifiers);
  auto cards = read_cards(e, spec, extractors, skip_absent);
  if (e.wants("detection") == detectors.empty())
    spec.fail("detectors", detectors.empty()
                               ? "the table \"detection\" needs cloak detectors, and none is named"
                               : "they are only for the table \"detection\", which \"tables\" does not name");
  refuse_repeats(spec, "extractors", cards, [](const Card& card) { return card.name; });
  std::stable_sort(cards.begin(), cards.end(), [](const Card& a, const Card& b) { return a.order() < b.order(); });
  e.combine = read_combine(combine, spec, cards, e.absent);
  e.axes = Axes::from(spec, e.options);
  for (const auto& card : cards) e.extractors.push_back(make_extractor(card, e.options));
  for (auto& choice : e.classifiers) check_recogniser(e, spec, choice);
  for (const auto& name : detectors) e.detectors.push_back(make_cloak_detector(name, e.options));
  if (!detectors.empty())
    refuse_repeats(spec, "detectors", e.detectors, [](const auto& detector) { return detector->card().name; });

  require_planned(expectations, with_all_seeds(planned_rows(e)));
  e.dataset = dataset_of(dataset, prepare_options, store);
  require_clean(dataset, perturbed_note(e.dataset.photos), allow_perturbed);
  if (!e.is_prepared()) return e;
  find_eligible(e);
  if (e.gallery_photos) limit_gallery(e, e.gallery_photos);
  for (const auto seed : e.axes.seeds()) e.protected_people.push_back(choose_protected(spec, wanted, e, seed));
  check_seen(e);
  check_thresholds(e, spec);
  if (e.axes.is_neutral(Axis::distractors) != distractors_from.empty())
    spec.fail("distractors_from", distractors_from.empty()
                                      ? "expected the data set of the people that \"distractors\" adds to the gallery"
                                      : "has no effect without \"distractors\", how many of its people to add");
  if (!distractors_from.empty()) add_distractors(spec, distractors_from, prepare_options, allow_perturbed, e, store);
  if (!e.is_prepared()) return e;
  e.resolved = resolve(e, dataset);
  return e;
}

}  // namespace facepoison
