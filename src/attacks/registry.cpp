#include "attacks/registry.hpp"

#include <algorithm>

#include "facepoison/home.hpp"
#include "facepoison/model.hpp"

namespace facepoison {
namespace {

const fs::path folder = "configs/attacks";

Json read_preset(const std::string& name) {
  const fs::path path = resolve_card(name, folder);
  if (fs::exists(path)) return read_json(path);
  const auto near = nearest_name(name, names_in(folder));
  throw Error(Exit::usage, concat("no attack \"", name, "\" (", path.string(), ")", near.empty() ? "" : "; did you mean " + near + "?"));
}

// "fawkes-v1.0-high" is a name, not a file with the extension ".0-high".
std::string preset_name(const std::string& file) {
  const auto last = fs::path(file).filename().string();
  return last.ends_with(".json") ? last.substr(0, last.size() - 5) : last;
}

const std::string stand_in = "small-surrogate";  // ships with the program

bool is_here(const std::string& extractor) {
  const Card card = read_card(extractor);
  return fs::exists(model_path(card.file, card.path.parent_path()));
}

}  // namespace

const std::vector<AttackRow>& attack_registry() {
  static const std::vector<AttackRow> rows = {
      {"none", "photos as they are", false, false, false, {}, make_none},
      {"noise", "random signs of one size", false, false, false, {}, make_noise},
      {"pgd", "sign-gradient ascent away from the own embedding, capped in L∞", true, false, false, {}, make_pgd},
      {"fawkes-v0.3", "towards and past another person, under a penalty on DSSIM", true, true, false,
       {"each photo's goal is its own, as for a batch of 1; targets are of its own pool, among the farthest 20 people or a tenth of a smaller pool",
        "the aligned canvas instead of a crop of 224 pixels; tanh in float32; Adadelta's epsilon 1e-8; 8 bits by truncation, which is assumed"},
       make_fawkes_v03},
      {"fawkes-v1.0", "away from the own embedding, under a threshold of DSSIM and 15 grey levels", true, false, false,
       {"where nothing is feasible the clean photo is kept, not a black one; the aligned canvas instead of a crop of 112 pixels, with no stretch of contrast",
        "tanh in float32; Adadelta's epsilon 1e-7; 8 bits by truncation, as its code"},
       make_fawkes_v10},
      {"lowkey", "LowKey: sign ascent on blurred and plain views, held by LPIPS", true, false, true, {"the similarity is over the whole canvas, not a crop of 112 pixels"}, make_lowkey},
      {"files", "perturbed photos from any other tool, paired by their names", false, false, false, {}, make_files},
  };
  return rows;
}

std::shared_ptr<const Attack> make_attack(const Json& preset, const RunOptions& options, const std::vector<std::string>& surrogates) {
  const bool is_object = preset.is_object() && preset.contains("preset") && preset["preset"].is_string();
  if (!preset.is_string() && !is_object) throw Error(Exit::usage, concat("attacks: found ", preset.dump(), ", expected a preset's name or an object {\"preset\": …}"));
  const std::string file = is_object ? preset["preset"].get<std::string>() : preset.get<std::string>();
  std::string name = preset_name(file);
  Json merged = read_preset(file);
  if (is_object) {
    name = preset.value("name", name);
    for (const auto& [key, value] : preset.items())
      if (key != "preset" && key != "name") merged[key] = value;
  }
  if (!surrogates.empty()) merged["surrogates"] = surrogates;
  const bool named_by_user = !surrogates.empty() || fs::path(file).has_parent_path() || (preset.is_object() && preset.contains("surrogates"));

  Spec spec(merged, "attack " + name);
  const auto& rows = attack_registry();
  std::vector<std::string> known;
  for (const auto& row : rows) known.push_back(row.name);
  const auto kind = spec.choice("attack", known);
  const auto& row = *std::find_if(rows.begin(), rows.end(), [&](const AttackRow& r) { return r.name == kind; });
  AttackSettings settings;
  settings.name = name;
  for (const auto& note : row.notes) settings.notes.push_back(name + ": " + note);
  if (row.needs_surrogates) {
    auto names = spec.texts("surrogates");
    if (names.empty()) spec.fail("surrogates", "an empty list; this attack optimises against at least one extractor");
    if (!named_by_user && std::none_of(names.begin(), names.end(), is_here)) {
      settings.notes.push_back(concat(name, ": none of its preset's surrogates is on this machine (scripts/fetch_models.py); ", stand_in, " stands in"));
      names = {stand_in};
    }
    RunOptions exact = options;
    exact.precision = torch::kFloat32;
    for (const auto& surrogate : names) {
      settings.surrogates.push_back(make_extractor(surrogate, options));
      settings.exact.push_back(make_extractor(surrogate, exact));
    }
  }
  if (row.aims)
    if (const auto folder = spec.text("targets", ""); !folder.empty()) settings.targets = read_dataset(folder).photos;
  if (row.sees_lpips) settings.lpips = find_lpips(options);
  const auto attack = row.make(spec, std::move(settings));
  spec.finish();
  attack->set_parameters(spec.record());
  return attack;
}

}  // namespace facepoison
