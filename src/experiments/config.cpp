// A config file and its overrides, read and checked to the last key.
#include <algorithm>
#include <cmath>
#include <set>

#include "facepoison/classifier.hpp"
#include "facepoison/config_file.hpp"
#include "facepoison/error.hpp"
#include "facepoison/experiment.hpp"
#include "facepoison/model.hpp"
#include "facepoison/photos.hpp"
#include "facepoison/report.hpp"
#include "facepoison/seen.hpp"
#include "facepoison/version.hpp"
#include "experiments/combine.hpp"
#include "experiments/judges.hpp"
#include "experiments/repeats.hpp"

namespace facepoison {
namespace {

// Makes every path in a part of a config absolute, from the folder that it was meant from. Where it says "seed" it
// takes out "seeds" of what it goes over, and the other way round.
void anchor_experiment(Json& config, const fs::path& base) {
  if (!config.is_object()) return;
  const auto is_given = [&](const char* key) { return config.contains(key) && !config[key].is_null(); };
  if (is_given("seed") != is_given("seeds")) config[is_given("seed") ? "seeds" : "seed"] = nullptr;
  if (config.contains("dataset") && config["dataset"].is_string())
    config["dataset"] = (base / config["dataset"].get<std::string>()).lexically_normal().string();
  if (config.contains("probes") && config["probes"].is_array())
    for (auto& item : config["probes"])
      if (item.is_object() && item.contains("attack")) anchor_attack(item["attack"], base);
  for (const std::string key : {"extractors", "filter", "detectors", "attacks"}) {
    if (!config.contains(key) || !config[key].is_array()) continue;
    for (auto& item : config[key]) key == "attacks" ? anchor_attack(item, base) : anchor_path(item, base);
  }
}

void find_eligible(Experiment& e) {
  std::set<std::string> with_train, with_test;
  for (std::size_t i = 0; i < e.dataset.photos.size(); ++i) {
    const auto& photo = e.dataset.photos[i];
    if (photo.train()) e.train.push_back(i), with_train.insert(photo.person);
    if (photo.test()) e.test.push_back(i), with_test.insert(photo.person);
  }
  if (e.train.empty() || e.test.empty())
    throw Error(Exit::input, concat(e.dataset.folder.string(), ": ", e.train.size(), " train and ", e.test.size(),
                                    " test photos; both are needed"));
  std::set_intersection(with_train.begin(), with_train.end(), with_test.begin(), with_test.end(),
                        std::back_inserter(e.eligible));
  if (e.eligible.empty())
    throw Error(Exit::input, concat(e.dataset.folder.string(), ": nobody has both train and test photos"));
}

// The draw is nested: the first K of one shuffled list, so that a larger K keeps everybody of a smaller one.
std::vector<std::string> choose_protected(const Spec& spec, const Json& wanted, const Experiment& e, Seed seed) {
  std::vector<std::string> drawn = e.eligible;
  Stream(seed, "protected").shuffle(drawn);
  if (wanted == "all") return drawn;
  if (wanted.is_number_integer()) {
    const auto count = wanted.get<std::int64_t>();
    if (count < 1 || count > static_cast<std::int64_t>(drawn.size()))
      spec.fail("protected",
                concat("found ", count, ", expected 1 to ", drawn.size(), " (people with train and test photos)"));
    drawn.resize(static_cast<std::size_t>(count));
    return drawn;
  }
  if (!wanted.is_array() || wanted.empty())
    spec.fail("protected", concat("found ", wanted.dump(), ", expected \"all\", a number or a list of names"));
  std::vector<std::string> named;
  for (const auto& name : wanted) {
    if (!name.is_string()) spec.fail("protected", concat("found ", name.dump(), " in the list, expected a name"));
    const auto wanted_name = name.get<std::string>();
    if (const auto person = person_named(wanted_name, e.eligible)) {
      named.push_back(*person);
      continue;
    }
    const auto near = nearest_name(wanted_name, e.eligible);
    spec.fail("protected",
              person_named(wanted_name, e.dataset.people())
                  ? concat("\"", wanted_name, "\" has no train or no test photo")
                  : concat("no person \"", wanted_name, "\"", near.empty() ? "" : "; did you mean \"" + near + "\"?"));
  }
  refuse_repeats(spec, "protected", named, [](const std::string& name) { return name; });
  return named;
}

std::vector<std::string> read_tables(Spec& spec) {
  const auto wanted = spec.texts("tables", std::vector<std::string>{"protection"});
  for (const auto& name : wanted) table_row(name);
  refuse_repeats(spec, "tables", wanted, [](const std::string& name) { return name; });
  return wanted;
}

// One that is trained in each game has no embeddings in common with others, nor an answer without any game.
void check_recogniser(const Experiment& e, const Spec& spec, const Json& classifier) {
  for (const auto& extractor : e.extractors) make_recogniser(extractor, classifier, e.options);
  if (!is_end_to_end(classifier)) return;
  if (!e.combine.empty()) spec.fail("combine", "not with a classifier that is trained end to end");
  if (e.wants("open-set")) spec.fail("tables", "\"open-set\" would train end to end without each of the strangers");
}

// Where nobody is left to set a threshold, or to be judged by it, it says nothing.
void check_thresholds(const Experiment& e, const Spec& spec) {
  std::set<std::string> protected_people;
  for (const auto& drawn : e.protected_people) protected_people.insert(drawn.begin(), drawn.end());
  if (e.wants("open-set") && protected_people.size() == e.eligible.size())
    spec.fail("tables", "\"open-set\" sets its thresholds on people who are not protected, and here everybody is");
  const bool any_curve =
      std::any_of(e.combine.begin(), e.combine.end(), [](const auto& pairing) { return pairing.has_curve(); });
  if (e.wants("threshold") && !any_curve)
    spec.fail("tables", "\"threshold\" is the curve of a \"combine\" with a threshold by share, and there is none");
  for (const auto& pairing : e.combine)
    if (pairing.has_curve() && e.eligible.size() < 4)
      spec.fail("combine", concat("\"", pairing.name,
                                  "\" needs half of the people to set its threshold and half to be "
                                  "judged by it, 4 at least; there are ",
                                  e.eligible.size()));
  for (const auto& way : e.axes.enrolled)
    if (way == "absent" && e.dataset.people().size() < 2)
      spec.fail("enrolled", "\"absent\" leaves nobody in a gallery of one person");
}

// The table's rows, as far as they are known without the data.
Table cells(const Experiment& e) {
  Table table{{"extractor", "released", "strategy", "surrogate"}, {}, {}};
  const auto all = combinations(e.axes);
  for (const auto& [axis, value] : all.front().coordinates(e.axes)) table.columns.push_back(axis);
  table.columns.push_back("classifier");
  for (const auto& judge : judges(e))
    for (const auto& combination : all)
      for (const auto& classifier : e.classifiers) {
        std::vector<Cell> row = {judge.name, judge.released, strategy(*combination.attack, judge),
                                 optimises_against(*combination.attack, judge) ? "yes" : "no"};
        for (const auto& [axis, value] : combination.coordinates(e.axes)) row.emplace_back(value);
        row.emplace_back(classifier_name(classifier));
        table.add(std::move(row));
      }
  return table;
}

// Where there are several seeds, tables have rows of all of them together.
Table with_all_seeds(Table table) {
  const auto seed = column(table, "seed", "the table");
  auto together = table.rows;
  for (auto& row : together) row[seed] = "all";
  if (std::any_of(table.rows.begin(), table.rows.end(),
                  [&](const auto& row) { return row[seed] != table.rows.front()[seed]; }))
    table.rows.insert(table.rows.end(), together.begin(), together.end());
  return table;
}

// An attack's identity has what files hold, by which pictures are known; where files come from is an attack's own too.
Json resolved_attack(const Attack& attack) {
  Json resolved = {{"name", attack.settings().name}, {"identity", attack.identity()}};
  for (const auto* key : {"folder", "targets"})
    if (const auto& all = attack.settings().parameters; all.contains(key) && all[key] != "") resolved[key] = all[key];
  return resolved;
}

Json resolved_posing(const Posing& posing) {
  if (posing.attack) return resolved_attack(*posing.attack);
  if (!posing.transform) return posing.name;
  return {{"name", posing.name}, {"identity", posing.transform->identity()}};
}

// What a classifier's name or keys leave to its defaults and its version; none where that is nothing.
Json resolved_classifier(const Experiment& e, const Json& classifier) {
  const Json settings = make_recogniser(e.extractors.front(), classifier, e.options)->settings();
  return settings == Json{{"classifier", settings["classifier"]}, {"version", 1}} ? Json() : settings;
}

Json resolve(const Experiment& e, const std::string& dataset) {
  Json extractors = Json::array(), attacks = Json::array(), transforms = Json::array(), people = Json::object();
  for (const auto& extractor : e.extractors)
    extractors.push_back({{"name", extractor->card().name},
                          {"released", extractor->card().release()},
                          {"licence", extractor->card().licence},
                          {"identity", extractor->identity()}});
  for (const auto& posting : e.axes.attacks) {
    Json parts = Json::array(), strategies = Json::object(), attacked = Json::array();
    for (const auto& [attack, share] : posting.parts) {
      Json surrogates = Json::array();
      for (const auto& surrogate : attack->settings().surrogates) surrogates.push_back(surrogate->card().name);
      Json part = resolved_attack(*attack);
      parts.push_back({{"name", part["name"]}, {"share", share}, {"surrogates", surrogates}});
      parts.back().update(part);
    }
    for (const auto& judge : judges(e)) {
      if (optimises_against(posting, judge)) attacked.push_back(judge.name);
      strategies[judge.name] = strategy(posting, judge);
    }
    attacks.push_back({{"name", posting.name}, {"parts", parts}, {"attacked", attacked}, {"strategies", strategies}});
  }
  for (const auto& transform : e.axes.transforms)
    transforms.push_back(transform ? Json{{"name", transform->name()}, {"identity", transform->identity()}} : "none");
  for (std::size_t s = 0; s < e.axes.seeds.size(); ++s) people[std::to_string(e.axes.seeds[s])] = e.protected_people[s];
  Json resolved = {{"dataset", dataset},
                   {"manifest_sha256", e.dataset.manifest_sha256},
                   {"protected", people},
                   {"extractors", extractors},
                   {"attacks", attacks},
                   {"transforms", transforms},
                   {"transform_on", e.axes.transform_on},
                   {"clean_photos", e.axes.clean_photos},
                   {"enrolled", e.axes.enrolled},
                   {"together", e.axes.together},
                   {"classifiers", e.classifiers},
                   {"device", device_name(e.options.device)},
                   {"precision", precision_name(e.options)},
                   {"libtorch", libtorch_version()}};
  // What is not asked for has no key, so that a run from before is the same run.
  const auto detector = [](const auto& one) {
    return one ? Json{{"name", one->card().name}, {"threshold", one->card().threshold}, {"identity", one->identity()}}
               : Json("none");
  };
  Json settings = Json::array();
  for (const auto& classifier : e.classifiers) settings.push_back(resolved_classifier(e, classifier));
  if (std::any_of(settings.begin(), settings.end(), [](const Json& one) { return !one.is_null(); }))
    resolved["classifier_settings"] = settings;
  if (e.axes.filters != Axes().filters)
    for (const auto& filter : e.axes.filters) resolved["filter"].push_back(detector(filter));
  for (const auto& one : e.detectors) resolved["detectors"].push_back(detector(one));
  for (const auto& pairing : e.combine) {
    resolved["combine"].push_back(json_of(pairing));
    for (const auto& judge : judges(e))
      if (judge.name == pairing.name) resolved["combine"].back()["released"] = judge.released;
  }
  for (const auto& posing : e.axes.probes)
    if (e.axes.probes.size() > 1 || posing.name != "clean") resolved["probes"].push_back(resolved_posing(posing));
  if (e.tables != std::vector<std::string>{"protection"}) resolved["tables"] = e.tables;
  if (e.wants("open-set")) resolved["false_positive_rate"] = e.false_positive_rate;
  return resolved;
}

// Nobody who is protected may have been seen in training: a trainer who has somebody's photos needs no recogniser.
void check_seen(Experiment& e) {
  std::set<std::string> protected_people;
  for (const auto& drawn : e.protected_people) protected_people.insert(drawn.begin(), drawn.end());
  auto networks = e.extractors;
  networks.insert(networks.end(), e.detectors.begin(), e.detectors.end());
  for (const auto& filter : e.axes.filters)
    if (filter && std::find(networks.begin(), networks.end(), filter) == networks.end()) networks.push_back(filter);
  for (const auto& network : networks) {
    const Card& card = network->card();
    const auto trainings = trainings_of(card);
    if (trainings.empty()) continue;
    std::vector<std::string> met, others;
    std::set<std::string> people, photos;
    for (const auto& person : people_seen(trainings, e.dataset))
      (protected_people.count(person) ? met : others).push_back(person);
    if (!met.empty())
      throw Error(Exit::usage, concat(card.name, " was trained on photos of ", listed(met, 5),
                                      ", who would be protected here: protect others, or train without them (the "
                                      "key \"exclude\" of a training's config)"));
    for (const auto& training : trainings) {
      people.insert(training.people.begin(), training.people.end());
      photos.insert(training.photos.begin(), training.photos.end());
    }
    e.seen.push_back(concat(card.name, ": trained on ", photos.size(), " photos of ", people.size(),
                            " people; of those here nobody who is protected, and ", others.size(), " others",
                            others.empty() ? "" : ": " + listed(others, 5)));
  }
}

}  // namespace

bool Experiment::wants(const std::string& table) const {
  return std::find(tables.begin(), tables.end(), table) != tables.end();
}

Dataset protected_photos(const fs::path& config, ArtifactStore& store) {
  Spec spec(read_config(config, {}, anchor_experiment), config.string());
  Experiment e;
  e.dataset = dataset_of(spec.text("dataset"), PrepareOptions::of_config(spec), store);
  if (!e.is_prepared()) return std::move(e.dataset);
  find_eligible(e);
  std::set<std::string> people;
  const Json wanted = spec.raw("protected", Json("all"));
  for (const auto seed : read_seeds(spec))
    for (const auto& person : choose_protected(spec, wanted, e, seed)) people.insert(person);
  std::erase_if(e.dataset.photos, [&](const Photo& photo) { return !people.count(photo.person); });
  return std::move(e.dataset);
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
  spec.raw("attacks");
  for (const auto* key :
       {"transforms", "transform_on", "clean_photos", "enrolled", "together", "probes", "filter", "seed", "seeds"})
    spec.raw(key, Json());  // known keys; their values are read below
  const auto device = spec.text("device", "auto"),
             precision = spec.choice("precision", {"fp32", "tf32", "bf16"}, "fp32");
  const bool skip_absent = spec.choice("absent", {"refuse", "skip"}, "refuse") == "skip";
  const auto prepare_options = PrepareOptions::of_config(spec);
  const bool allow_perturbed = spec.flag("allow_perturbed", false);
  const Json combine = spec.raw("combine", Json::array());
  const auto detectors = spec.texts("detectors", std::vector<std::string>{});
  e.tables = read_tables(spec);
  e.false_positive_rate = spec.number("false_positive_rate", 1e-6, 1, e.false_positive_rate);
  spec.finish();

  e.options = run_options(device, precision, trust_model);
  if (!classifiers.is_array())
    spec.fail("classifiers", concat("found ", classifiers.dump(), ", expected a list of names or objects"));
  e.classifiers.assign(classifiers.begin(), classifiers.end());
  for (const auto& wanted : e.classifiers)
    if (!is_end_to_end(wanted)) make_classifier(wanted);
  refuse_repeats(spec, "classifiers", e.classifiers, classifier_name);
  std::vector<Card> cards;
  for (const auto& name : extractors) {
    Card card = read_card(name);
    const bool absent = skip_absent && !fs::exists(model_path(card.file, card.path.parent_path()));
    (absent ? e.absent : cards).push_back(std::move(card));
  }
  if (extractors.empty()) spec.fail("extractors", "an empty list");
  if (cards.empty())
    throw Error(Exit::model, concat(config.string(), ": none of its ", e.absent.size(),
                                    " extractors is on this machine; facepoison list extractors says how to get each"));
  if (e.wants("detection") == detectors.empty())
    spec.fail("detectors", detectors.empty() ? "the table \"detection\" is of cloak detectors, and none is named"
                                             : "they are for the table \"detection\", which \"tables\" does not name");
  refuse_repeats(spec, "extractors", cards, [](const Card& card) { return card.name; });
  std::stable_sort(cards.begin(), cards.end(), [](const Card& a, const Card& b) { return a.order() < b.order(); });
  e.combine = read_combine(combine, spec, cards, e.absent);
  e.axes = Axes::from(spec, e.options);
  for (const auto& card : cards) e.extractors.push_back(make_extractor(card, e.options));
  for (const auto& wanted : e.classifiers) check_recogniser(e, spec, wanted);
  for (const auto& name : detectors) e.detectors.push_back(make_cloak_detector(name, e.options));
  if (!detectors.empty())
    refuse_repeats(spec, "detectors", e.detectors, [](const auto& detector) { return detector->card().name; });

  require_planned(expectations, with_all_seeds(cells(e)));
  e.dataset = dataset_of(dataset, prepare_options, store);
  require_clean(dataset, perturbed_note(e.dataset.photos), allow_perturbed);
  if (!e.is_prepared()) return e;
  find_eligible(e);
  for (const auto seed : e.axes.seeds) e.protected_people.push_back(choose_protected(spec, wanted, e, seed));
  check_seen(e);
  check_thresholds(e, spec);
  e.resolved = resolve(e, dataset);
  return e;
}

Table plan(const Experiment& e, const std::vector<PlannedUnit>& units) {
  std::map<std::string, std::int64_t> probes;
  for (const auto row : e.test) ++probes[e.dataset.photos[row].person];
  Table table = cells(e);
  table.columns.insert(table.columns.end(), {"people", "n"});
  const auto list = e.is_prepared() ? scenarios(e, e.protected_people).list : std::vector<Scenario>();
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    if (list.empty()) {
      table.rows[i].insert(table.rows[i].end(), {Cell(""), Cell("")});
      continue;
    }
    std::int64_t n = 0;
    const auto& games = list[i / e.classifiers.size() % list.size()].games;
    for (const auto& game : games) n += probes[game.person];
    table.rows[i].insert(table.rows[i].end(), {Cell(static_cast<std::int64_t>(games.size())), Cell(n)});
  }
  table.notes.push_back(e.is_prepared() ? concat("run folder: ", default_run_folder(e).string())
                                        : concat("the photos in ", e.dataset.folder.string(),
                                                 " are not prepared yet: that is all that is known of the work"));
  std::size_t missing = 0, unknown = 0;
  double seconds = 0;
  for (const auto& unit : units) {
    if (unit.stored || unit.arrow == "all") continue;
    ++missing;
    if (std::isnan(unit.seconds))
      ++unknown;
    else
      seconds += unit.seconds;
  }
  table.notes.push_back(concat("units of work: ", units.size(), ", to make ", missing, ", about ",
                               static_cast<std::int64_t>(std::ceil(seconds)), " s",
                               unknown ? concat(" and ", unknown, " whose kind was never made here") : ""));
  return table;
}

}  // namespace facepoison
