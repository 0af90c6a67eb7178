#include "facepoison/axes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "facepoison/error.hpp"
#include "experiments/repeats.hpp"

namespace facepoison {
namespace {

constexpr auto largest_seed = std::numeric_limits<std::int64_t>::max();

const Json& list_of(const Spec& spec, const std::string& key, const Json& value, const std::string& what) {
  if (!value.is_array()) spec.fail(key, concat("found ", value.dump(), ", expected a list of ", what));
  return value;
}

std::vector<std::int64_t> integers(Spec& spec, const std::string& key, const Json& fallback) {
  std::vector<std::int64_t> numbers;
  const Json list = spec.raw(key, fallback);
  for (const auto& value : list_of(spec, key, list, "whole numbers from 0 on")) {
    const bool fits =
        value.is_number_integer() && (!value.is_number_unsigned() || value.get<std::uint64_t>() <= largest_seed);
    if (!fits || value.get<std::int64_t>() < 0)
      spec.fail(key, concat("found ", value.dump(), " in the list, expected a whole number from 0 to ", largest_seed));
    numbers.push_back(value.get<std::int64_t>());
  }
  refuse_repeats(spec, key, numbers, [](auto number) { return std::to_string(number); });
  return numbers;
}

// {"name": …, "mix": {NAME: share, …}}; a NAME is another attack of the config, or a preset.
Posting read_mix(Spec& spec, const Json& wanted, const std::vector<Posting>& others, const RunOptions& options) {
  Posting mix;
  for (const auto& [key, value] : wanted.items())
    if (key != "name" && key != "mix") spec.fail("attacks", concat("a mix has no key \"", key, "\""));
  if (!wanted.contains("name") || !wanted["name"].is_string()) spec.fail("attacks", "a mix needs a \"name\"");
  mix.name = wanted["name"].get<std::string>();
  const Json& shares = wanted["mix"];
  if (!shares.is_object() || shares.empty())
    spec.fail("attacks", concat("mix of ", mix.name, ": found ", shares.dump(), ", expected {NAME: share, …}"));
  double sum = 0;
  for (const auto& [name, share] : shares.items()) {
    if (!share.is_number() || !(share.get<double>() > 0) || share.get<double>() > 1)
      spec.fail("attacks",
                concat("mix of ", mix.name, ", ", name, ": found ", share.dump(), ", expected 0 < share ≤ 1"));
    sum += share.get<double>();
    const auto found = std::find_if(others.begin(), others.end(), [&](const auto& one) { return one.name == name; });
    if (found == others.end())
      mix.parts.emplace_back(make_attack(name, options), share.get<double>());
    else if (found->parts.size() == 1)
      mix.parts.emplace_back(found->parts.front().first, share.get<double>());
    else
      spec.fail("attacks", concat("mix of ", mix.name, ": ", name, " is a mix itself"));
  }
  if (std::abs(sum - 1) > 1e-9)
    spec.fail("attacks", concat("mix of ", mix.name, ": its shares sum to ", sum, ", not 1"));
  return mix;
}

std::vector<Posting> read_attacks(Spec& spec, const RunOptions& options) {
  const Json wanted = spec.raw("attacks");
  std::vector<Posting> attacks;
  const auto is_mix = [](const Json& one) { return one.is_object() && one.contains("mix"); };
  for (const auto& one : list_of(spec, "attacks", wanted, "presets")) {
    auto& posting = attacks.emplace_back();
    if (is_mix(one)) continue;
    const auto attack = make_attack(one, options);
    posting = {attack->settings().name, {{attack, 1.0}}};
  }
  for (std::size_t i = 0; i < attacks.size(); ++i)
    if (is_mix(wanted[i])) attacks[i] = read_mix(spec, wanted[i], attacks, options);
  refuse_repeats(spec, "attacks", attacks, [](const auto& posting) { return posting.name; });
  return attacks;
}

Posing read_posing(const Spec& spec, const Json& wanted, const RunOptions& options) {
  if (wanted == "clean" || wanted == "as-posted") return {wanted.get<std::string>()};
  const bool one = wanted.is_object() && wanted.size() == 1;
  if (one && wanted.contains("attack")) {
    const auto attack = make_attack(wanted["attack"], options);
    return {attack->settings().name, attack};
  }
  const auto transform = one && wanted.contains("transform") ? make_transform(wanted["transform"]) : nullptr;
  if (!transform)
    spec.fail("probes", concat("found ", wanted.dump(),
                               ", expected \"clean\", \"as-posted\", {\"attack\": a preset} or {\"transform\": one}"));
  return {transform->name(), nullptr, transform};
}

// Cloak detectors by name or card; "none" is none of them.
std::vector<std::shared_ptr<const FeatureExtractor>> read_filters(Spec& spec, const RunOptions& options) {
  std::vector<std::shared_ptr<const FeatureExtractor>> filters;
  for (const auto& name : spec.texts("filter", std::vector<std::string>{"none"}))
    filters.push_back(name == "none" ? nullptr : make_cloak_detector(name, options));
  refuse_repeats(spec, "filter", filters, [](const auto& filter) { return filter ? filter->card().name : "none"; });
  return filters;
}

std::vector<std::string> parts_of(const std::string& joined) {
  std::vector<std::string> parts = {""};
  for (const char c : joined) {
    if (c == '+')
      parts.emplace_back();
    else
      parts.back().push_back(c);
  }
  return parts;
}

void check_on(const Spec& spec, const std::string& on) {
  const auto parts = parts_of(on);
  for (const auto& part : parts)
    if (part != "perturbed" && part != "gallery" && part != "probes")
      spec.fail("transform_on",
                concat("found \"", on, "\", expected perturbed, gallery or probes, or several joined by +"));
  if (std::set(parts.begin(), parts.end()).size() < parts.size())
    spec.fail("transform_on", concat("\"", on, "\" names one twice"));
}

}  // namespace

std::vector<Seed> read_seeds(Spec& spec) {
  const auto seed = spec.integer("seed", 0, largest_seed, 0);
  if (spec.has("seed") && spec.has("seeds")) spec.fail("seeds", "there is a \"seed\" too; one of them says it all");
  const auto seeds = integers(spec, "seeds", Json::array({seed}));
  return {seeds.begin(), seeds.end()};
}

Axes Axes::from(Spec& spec, const RunOptions& options) {
  Axes axes;
  const auto name = [](const std::string& word) { return word; };
  axes.seeds = read_seeds(spec);
  axes.clean_photos = integers(spec, "clean_photos", axes.clean_photos);
  axes.enrolled = spec.texts("enrolled", axes.enrolled);
  for (const auto& way : axes.enrolled)
    if (way != "replaced" && way != "added" && way != "absent")
      spec.fail("enrolled", concat("found \"", way, "\", expected replaced, added or absent"));
  refuse_repeats(spec, "enrolled", axes.enrolled, name);
  axes.together = spec.texts("together", axes.together);
  for (const auto& who : axes.together)
    if (who != "one" && who != "half") spec.fail("together", concat("found \"", who, "\", expected one or half"));
  refuse_repeats(spec, "together", axes.together, name);
  if (axes.together != Axes().together && axes.enrolled != Axes().enrolled)
    spec.fail("together", "\"half\" goes with photos that are replaced (\"enrolled\") alone");
  const Json probes = spec.raw("probes", Json::array({"clean"}));
  axes.probes.clear();
  for (const auto& one : list_of(spec, "probes", probes, "ways to see a probe"))
    axes.probes.push_back(read_posing(spec, one, options));
  refuse_repeats(spec, "probes", axes.probes, [](const auto& posing) { return posing.name; });
  axes.transform_on = spec.texts("transform_on", axes.transform_on);
  for (const auto& on : axes.transform_on) check_on(spec, on);
  refuse_repeats(spec, "transform_on", axes.transform_on, name);
  axes.transforms.clear();
  const Json transforms = spec.raw("transforms", Json::array({"none"}));
  for (const auto& one : list_of(spec, "transforms", transforms, "transforms"))
    axes.transforms.push_back(make_transform(one));
  refuse_repeats(spec, "transforms", axes.transforms,
                 [](const auto& transform) { return transform ? transform->name() : "none"; });
  axes.filters = read_filters(spec, options);
  axes.attacks = read_attacks(spec, options);
  return axes;
}

bool Combination::transforms(const std::string& what) const {
  const auto parts = parts_of(transform_on);
  return transform && std::find(parts.begin(), parts.end(), what) != parts.end();
}

std::vector<std::pair<std::string, std::string>> Combination::coordinates(const Axes& axes) const {
  return {{"attack", attack->name},
          {"transform", transform ? transform->name() : "none"},
          {"transform_on", transform_on},
          {"clean_photos", std::to_string(clean_photos)},
          {"enrolled", enrolled},
          {"together", together},
          {"probes", probes->name},
          {"filter", filter ? filter->card().name : "none"},
          {"seed", std::to_string(axes.seeds[seed])}};
}

std::vector<Combination> combinations(const Axes& axes) {
  std::vector<Combination> all;
  const std::vector<std::string> nowhere = {""};
  for (const auto& attack : axes.attacks)
    for (const auto& transform : axes.transforms)
      for (const auto& on : transform ? axes.transform_on : nowhere)
        for (const auto clean : axes.clean_photos)
          for (const auto& enrolled : axes.enrolled)
            for (const auto& together : axes.together)
              for (const auto& probes : axes.probes)
                for (const auto& filter : axes.filters)
                  for (std::size_t seed = 0; seed < axes.seeds.size(); ++seed)
                    if (enrolled != "absent" ||
                        (&attack == &axes.attacks.front() && clean == axes.clean_photos.front()))
                      all.push_back({&attack, transform, on, clean, enrolled, together, &probes, filter, seed});
  return all;
}

}  // namespace facepoison
