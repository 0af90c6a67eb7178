// Resolves a config to config.resolved.json. Its hash names the run, and depends on the order of its keys.
#include <algorithm>

#include "facepoison/model.hpp"
#include "facepoison/version.hpp"
#include "experiments/combine.hpp"
#include "experiments/config.hpp"
#include "experiments/table_recognisers.hpp"

namespace facepoison {
namespace {

Json resolved_extractors(const Experiment& e) {
  Json all = Json::array();
  for (const auto& extractor : e.extractors) {
    all.push_back({{"name", extractor->card().name},
                   {"released", extractor->card().release()},
                   {"licence", extractor->card().licence},
                   {"identity", extractor->identity()}});
    if (const auto& start = extractor->card().trained_from; !start.empty()) all.back()["trained_from"] = start;
  }
  return all;
}

// The people of each seed's draw, by seed.
Json resolved_protected(const Experiment& e) {
  Json people = Json::object();
  for (const auto& one : e.axes.each(Axis::seed)) people[std::to_string(one.seed)] = e.protected_people[one.draw];
  return people;
}

void add_axis(Json& resolved, const Axes& axes, Axis axis) {
  Json& values = resolved[axis_registry()[index_of(axis)].keys.front()] = Json::array();
  for (const auto& value : axes[axis]) values.push_back(value.resolved);
}

// Adds those axes of a kind that are not there yet.
void add_axes(Json& resolved, const Axes& axes, AxisRow::Resolved kind) {
  for (std::size_t axis = 0; axis < axis_columns.size(); ++axis) {
    const auto& row = axis_registry()[axis];
    const bool is_wanted = kind == AxisRow::Resolved::always || !axes.is_neutral(Axis(axis));
    if (row.resolved == kind && is_wanted && !resolved.contains(row.keys.front())) add_axis(resolved, axes, Axis(axis));
  }
}

// Adds to each attack the table's recognisers that it attacks, and its strategy() for each recogniser.
void add_strategies(Json& attacks, const Experiment& e) {
  const auto postings = e.axes.each(Axis::attack);
  const auto recognisers = table_recognisers(e);
  for (std::size_t a = 0; a < postings.size(); ++a) {
    Json strategies = Json::object(), attacked = Json::array();
    for (const auto& recogniser : recognisers) {
      if (optimises_against(*postings[a].attack, recogniser)) attacked.push_back(recogniser.name);
      strategies[recogniser.name] = strategy(*postings[a].attack, recogniser);
    }
    attacks[a]["attacked"] = attacked;
    attacks[a]["strategies"] = strategies;
  }
}

// Each classifier's settings with its defaults and version: null if it has none and its version is 1.
Json classifier_settings(const Experiment& e) {
  Json all = Json::array();
  for (const auto& [name, wanted, identity, classifier] : e.classifiers) {
    const bool is_plain = identity == Json{{"classifier", identity.at("classifier")}, {"version", 1}};
    all.push_back(is_plain ? Json() : identity);
  }
  return all;
}

Json resolved_combine(const Experiment& e) {
  Json all = Json::array();
  const auto recognisers = table_recognisers(e);
  for (const auto& pairing : e.combine) {
    all.push_back(json_of(pairing));
    for (const auto& recogniser : recognisers)
      if (recogniser.name == pairing.name) all.back()["released"] = recogniser.released;
  }
  return all;
}

}  // namespace

Json resolve(const Experiment& e, const std::string& dataset) {
  Json resolved = {{"dataset", dataset},
                   {"manifest_sha256", e.dataset.manifest_sha256},
                   {"protected", resolved_protected(e)},
                   {"extractors", resolved_extractors(e)}};
  add_axes(resolved, e.axes, AxisRow::Resolved::always);
  add_strategies(resolved.at("attacks"), e);
  Json& classifiers = resolved["classifiers"] = Json::array();
  for (const auto& choice : e.classifiers) classifiers.push_back(choice.wanted);
  resolved["device"] = device_name(e.options);
  resolved["precision"] = precision_name(e.options);
  resolved["libtorch"] = libtorch_version();
  // What is not used has no key, so that older runs keep their hash.
  const auto settings = classifier_settings(e);
  if (std::any_of(settings.begin(), settings.end(), [](const Json& one) { return !one.is_null(); }))
    resolved["classifier_settings"] = settings;
  if (!e.axes.is_neutral(Axis::filter)) add_axis(resolved, e.axes, Axis::filter);
  for (const auto& detector : e.detectors) resolved["detectors"].push_back(resolved_detector(*detector));
  if (!e.combine.empty()) resolved["combine"] = resolved_combine(e);
  add_axes(resolved, e.axes, AxisRow::Resolved::unless_neutral);
  if (e.tables != std::vector<std::string>{"protection"}) resolved["tables"] = e.tables;
  if (e.gallery_photos) resolved["gallery_photos"] = e.gallery_photos;
  if (!e.distractors.empty()) resolved["distractors_manifest_sha256"] = e.distractors_sha256;
  if (e.wants("open-set")) resolved["false_positive_rate"] = e.false_positive_rate;
  return resolved;
}

}  // namespace facepoison
