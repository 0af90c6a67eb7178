#include "attacks/registry.hpp"

#include <algorithm>

#include "facepoison/home.hpp"

namespace facepoison {
namespace {

const fs::path folder = "configs/attacks";

Json read_preset(const std::string& name) {
  const fs::path path = resolve_card(name, folder);
  if (fs::exists(path)) return read_json(path);
  const auto near = nearest_name(name, names_in(folder));
  throw Error(Exit::usage, concat("no attack \"", name, "\" (", path.string(), ")", near.empty() ? "" : "; did you mean " + near + "?"));
}

}  // namespace

const std::vector<AttackRow>& attack_registry() {
  static const std::vector<AttackRow> rows = {
      {"none", "photos as they are", false, {}, make_none},
      {"noise", "random signs of one size", false, {}, make_noise},
      {"pgd", "sign-gradient ascent away from the own embedding, capped in L∞", true, {}, make_pgd},
      {"lowkey", "LowKey, with DSSIM in the place of LPIPS", true,
       {"LPIPS needs weights that no registry ships: DSSIM stands in, uncalibrated",
        "the similarity is over the whole canvas; the best iterate is kept for each photo"},
       make_lowkey},
  };
  return rows;
}

std::shared_ptr<const Attack> make_attack(const Json& preset, const RunOptions& options, const std::vector<std::string>& surrogates) {
  std::string name;
  Json merged;
  if (preset.is_string()) {
    name = fs::path(preset.get<std::string>()).stem().string();
    merged = read_preset(preset.get<std::string>());
  } else if (preset.is_object() && preset.contains("preset") && preset["preset"].is_string()) {
    name = preset.value("name", fs::path(preset["preset"].get<std::string>()).stem().string());
    merged = read_preset(preset["preset"].get<std::string>());
    for (const auto& [key, value] : preset.items())
      if (key != "preset" && key != "name") merged[key] = value;
  } else {
    throw Error(Exit::usage, concat("attacks: found ", preset.dump(), ", expected a preset's name or an object {\"preset\": …}"));
  }
  if (!surrogates.empty()) merged["surrogates"] = surrogates;

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
    const auto names = spec.texts("surrogates");
    if (names.empty()) spec.fail("surrogates", "an empty list; this attack optimises against at least one extractor");
    for (const auto& surrogate : names) settings.surrogates.push_back(make_extractor(surrogate, options));
  }
  const auto attack = row.make(spec, std::move(settings));
  spec.finish();
  attack->set_parameters(spec.record());
  return attack;
}

}  // namespace facepoison
