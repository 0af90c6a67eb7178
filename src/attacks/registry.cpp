#include "attacks/registry.hpp"

#include <algorithm>

#include "facepoison/config_file.hpp"
#include "facepoison/home.hpp"
#include "facepoison/model.hpp"
#include "facepoison/photos.hpp"

namespace facepoison {
namespace {

const fs::path folder = "configs/attacks";

// The preset's name from a file's name: "fawkes-v1.0-high" is a name, not a file with the extension ".0-high".
std::string preset_name(const std::string& file) {
  const auto last = fs::path(file).filename().string();
  return last.ends_with(".json") ? last.substr(0, last.size() - 5) : last;
}

Json read_preset(const std::string& name, int depth);

// The preset of a request {"preset": …, …}, overridden by the request's other keys.
Json merged(const Json& request, int depth = 0) {
  Json all = read_preset(request.at("preset").get<std::string>(), depth);
  for (const auto& [key, value] : request.items())
    if (key != "preset" && key != "name") all[key] = value;
  return all;
}

Json read_preset(const std::string& name, int depth) {
  const fs::path path = resolve_named(name, folder);
  if (!fs::exists(path)) {
    const auto near = nearest_name(name, names_in(folder));
    throw Error(Exit::usage, concat("no attack \"", name, "\" (", path.string(), ")",
                                    near.empty() ? "" : "; did you mean " + near + "?"));
  }
  if (depth > 8)
    throw Error(Exit::usage, concat(path.string(), ": this preset builds on itself through its \"preset\" keys"));
  const Json own = read_json(path);
  return own.is_object() && own.contains("preset") && own["preset"].is_string() ? merged(own, depth + 1) : own;
}

const std::string last_resort = "small-surrogate";  // ships with the program

bool is_here(const std::string& extractor) {
  const Card card = read_card(extractor);
  return fs::exists(model_path(card.file, card.path.parent_path()));
}

// Removes "stand_ins" from a request and chooses the surrogates to attack: the preset's own, or, if none of them is on
// this machine, its stand-ins, or, if none of these is, the one that ships. Surrogates that the user named are never
// replaced.
void choose_surrogates(Json& wanted, bool named_by_user, AttackSettings& settings) {
  if (!wanted.contains("surrogates")) return;
  Spec spec({{"surrogates", wanted["surrogates"]}, {"stand_ins", wanted.value("stand_ins", Json::array())}},
            "attack " + settings.name);
  const auto own = spec.texts("surrogates");
  auto instead = spec.texts("stand_ins");
  wanted.erase("stand_ins");
  const auto none_of = [](const std::vector<std::string>& names) {
    return std::none_of(names.begin(), names.end(), is_here);
  };
  if (named_by_user || own.empty() || !none_of(own)) return;
  if (none_of(instead)) instead = {last_resort};
  wanted["surrogates"] = instead;
  settings.notes.push_back(concat(settings.name, ": none of its surrogates (", listed(own),
                                  ") is on this machine (facepoison list extractors says how to get them); ",
                                  listed(instead), instead.size() > 1 ? " stand in" : " stands in"));
}

}  // namespace

const std::vector<AttackRow>& attack_registry() {
  static const std::vector<AttackRow> rows = {
      {"none", 1, "photos as they are", false, false, false, {}, make_none},
      {"noise", 1, "random ±epsilon at every pixel and channel", false, false, false, {}, make_noise, "epsilon"},
      {"pgd",
       1,
       "sign-gradient ascent away from the photo's own embedding, limited in L∞",
       true,
       false,
       false,
       {},
       make_pgd,
       "epsilon"},
      {"fawkes-v0.3",
       1,
       "towards and past another person's embedding, with a penalty on DSSIM",
       true,
       true,
       false,
       {"each photo's goal is its own, as for a batch of 1; targets are of its own pool, among the farthest 20 people "
        "or a tenth of a smaller pool",
        "the aligned canvas instead of a crop of 224 pixels; Adadelta's epsilon 1e-8; 8 bits by truncation, as its "
        "code"},
       make_fawkes_v03},
      {"fawkes-v1.0",
       1,
       "away from the photo's own embedding, with a DSSIM threshold and at most 15 grey levels",
       true,
       false,
       false,
       {"where nothing is feasible the clean photo is kept, not a black one; the aligned canvas instead of a crop of "
        "112 pixels, with no stretch of contrast",
        "Adadelta's epsilon 1e-7; 8 bits by truncation, as its code"},
       make_fawkes_v10,
       "clip"},
      {"lowkey",
       1,
       "LowKey: sign ascent on blurred and plain views, with a penalty on LPIPS or a stand-in",
       true,
       false,
       true,
       {"the perceptual distance is over the whole canvas, as FaceCure ran it"},
       make_lowkey},
      {"tip-im",
       1,
       "TIP-IM: away from the photo's own embedding, towards whoever of some other people is reached best",
       true,
       true,
       false,
       {"each person has targets of their own, from the data set or `targets`; embeddings of length one"},
       make_tip_im,
       "epsilon"},
      {"opom",
       1,
       "OPOM: one mask for each person, away from the subspace of the person's embeddings",
       true,
       false,
       false,
       {"the mask lies on the aligned canvas and starts as one picture of random numbers"},
       make_opom,
       "epsilon"},
      {"chameleon",
       1,
       "Chameleon: one mask for each person, away from the photos' own embeddings, with a penalty on DSSIM",
       true,
       false,
       false,
       {"the mask lies on the aligned canvas instead of a padded crop of 112 pixels"},
       make_chameleon,
       "epsilon"},
      {"protego-flat",
       1,
       "Protego's loss without its 3D warp: one mask for each person, with which photos are unlike each other",
       true,
       false,
       false,
       {"the mask lies flat on the aligned canvas, on the face and around it; Protego bends it over the face"},
       make_protego_flat,
       "epsilon"},
      {"retouch",
       1,
       "a photo editor's filters, as a control: smoother skin, more contrast, warmer colours",
       false,
       false,
       false,
       {},
       make_retouch_attack},
      {"files", 1, "perturbed photos from any other tool, paired by their names", false, false, false, {}, make_files},
  };
  return rows;
}

Json read_preset(const std::string& name) { return read_preset(name, 0); }

void anchor_attack(Json& preset, const fs::path& base) {
  anchor_path(preset, base);
  if (preset.is_array())
    for (auto& one : preset) anchor_attack(one, base);
  if (!preset.is_object()) return;
  if (preset.contains("after")) anchor_attack(preset["after"], base);
  if (preset.contains("before")) anchor_transform(preset["before"], base);
  if (preset.contains("preset")) anchor_path(preset["preset"], base);
  if (preset.contains("surrogates") && preset["surrogates"].is_array())
    for (auto& surrogate : preset["surrogates"]) anchor_path(surrogate, base);
  for (const auto* folder : {"targets", "folder"})
    if (preset.contains(folder) && preset[folder].is_string() && !preset[folder].get<std::string>().empty())
      preset[folder] = (base / preset[folder].get<std::string>()).lexically_normal().string();
}

namespace {

std::string name_of_request(const Json& preset) {
  if (preset.is_string()) return preset_name(preset.get<std::string>());
  return preset.is_object() ? preset.value("name", preset_name(preset.value("preset", ""))) : "";
}

// A request as an object. A list becomes its last attack, after the others.
Json attack_object(const Json& preset) {
  if (preset.is_string()) return {{"preset", preset}};
  if (!preset.is_array() || preset.empty()) return preset;
  Json last = attack_object(preset.back());
  std::string name;
  for (const auto& one : preset) name += (name.empty() ? "" : " + ") + name_of_request(one);
  last["name"] = name;
  if (preset.size() > 1) last["after"] = Json(preset.begin(), preset.end() - 1);
  return last;
}

std::vector<std::shared_ptr<const Attack>> make_earlier(Spec& spec, const RunOptions& options,
                                                        const std::vector<std::string>& surrogates) {
  const Json wanted = spec.raw("after");
  if (!wanted.is_array()) spec.fail("after", concat("found ", wanted.dump(), ", expected a list of presets"));
  std::vector<std::shared_ptr<const Attack>> earlier;
  for (const auto& one : wanted) {
    earlier.push_back(make_attack(one, options, surrogates));
    if (earlier.back()->settings().before)
      spec.fail("after", concat("found ", one.dump(), ", which has \"before\"; expected attacks without it"));
  }
  return earlier;
}

const AttackRow& row_of(const std::string& kind) {
  const auto& rows = attack_registry();
  return *std::find_if(rows.begin(), rows.end(), [&](const AttackRow& row) { return row.name == kind; });
}

}  // namespace

std::shared_ptr<const Attack> with_budget(const Json& preset, std::int64_t levels, const RunOptions& options) {
  const auto own = make_attack(preset, options);
  const Json& parameters = own->settings().parameters;
  const auto& bound = row_of(parameters.at("attack").get<std::string>()).bound;
  if (bound.empty()) return nullptr;
  const double level = bound == "epsilon" ? 1 / 255.0 : 1, wanted = static_cast<double>(levels) * level;
  Json request = attack_object(preset);
  if (const double now = parameters.at(bound).get<double>(); parameters.contains("step") && now > 0)
    request["step"] = std::min(1.0, parameters["step"].get<double>() * wanted / now);
  request[bound] = wanted;
  request["name"] = concat(own->settings().name, " at ", levels, "/255");
  return make_attack(request, options);
}

std::shared_ptr<const Attack> make_attack(const Json& preset, const RunOptions& options,
                                          const std::vector<std::string>& surrogates) {
  if (preset.is_array() && !preset.empty()) return make_attack(attack_object(preset), options, surrogates);
  const bool is_object = preset.is_object() && preset.contains("preset") && preset["preset"].is_string();
  if (!preset.is_string() && !is_object)
    throw Error(Exit::usage, concat("attacks: found ", preset.dump(),
                                    ", expected a preset's name, an object {\"preset\": …}, or a list of these"));
  const std::string file = is_object ? preset["preset"].get<std::string>() : preset.get<std::string>();
  std::string name = preset_name(file);
  Json wanted = is_object ? merged(preset) : read_preset(file);
  if (is_object) name = preset.value("name", name);
  if (!surrogates.empty()) wanted["surrogates"] = surrogates;
  const bool named_by_user =
      !surrogates.empty() || fs::path(file).has_parent_path() || (preset.is_object() && preset.contains("surrogates"));

  AttackSettings settings;
  settings.name = name;
  choose_surrogates(wanted, named_by_user, settings);
  Spec spec(wanted, "attack " + name);
  const auto& rows = attack_registry();
  std::vector<std::string> known;
  for (const auto& row : rows) known.push_back(row.name);
  const auto& row = row_of(spec.choice("attack", known));
  for (const auto& note : row.notes) settings.notes.push_back(name + ": " + note);
  if (row.needs_surrogates) {
    const auto names = spec.texts("surrogates");
    if (names.empty()) spec.fail("surrogates", "found an empty list; this attack needs at least one extractor");
    RunOptions plain = options, exact = options;
    plain.trust_model = exact.trust_model = options.trust_model && named_by_user;
    exact.precision = torch::kFloat32;
    for (const auto& surrogate : names) {
      settings.surrogates.push_back(make_extractor(surrogate, plain));
      settings.exact.push_back(make_extractor(surrogate, exact));
    }
  }
  if (row.aims)
    if (const auto folder = spec.text("targets", ""); !folder.empty()) {
      settings.targets = read_dataset(folder).photos;
      if (const auto note = perturbed_note(settings.targets); !note.empty())
        spec.fail("targets", concat(folder, ": ", note, "; expected clean photos as targets"));
    }
  if (row.sees_perceptual)
    if (const auto distance = spec.text("distance"); distance != "dssim")
      settings.perceptual = need_perceptual(distance, options);
  settings.version = row.version;
  settings.released = spec.text("released", "");
  if (spec.has("before")) settings.before = make_transform(spec.raw("before"));
  if (spec.has("after")) settings.after = make_earlier(spec, options, surrogates);
  if (settings.before)
    settings.notes.push_back(concat(name, ": photos go through ", settings.before->name(), " before it perturbs them"));
  const auto attack = row.make(spec, std::move(settings));
  if (attack->settings().before && !attack->changes_photos())
    spec.fail("before", "this attack does not change photos; use \"transforms\" or \"probes\" to change clean ones");
  if (attack->learns_masks() && attack->settings().before)
    spec.fail("before", "an attack that learns masks learns them from photos as they are");
  if (attack->learns_masks() && !attack->settings().after.empty())
    spec.fail("after", "an attack that learns masks can only be the first of several");
  spec.finish();
  attack->set_parameters(spec.record());
  return attack;
}

}  // namespace facepoison
