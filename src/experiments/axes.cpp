// The axes: how a config's keys become values, and how values become combinations.
#include "facepoison/axes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "facepoison/config_file.hpp"
#include "facepoison/error.hpp"
#include "experiments/repeats.hpp"

namespace facepoison {
namespace {

using Values = std::vector<AxisValue>;

constexpr auto largest_seed = std::numeric_limits<std::int64_t>::max();

template <class Member>
AxisValue value_of(std::string name, Json resolved, Member Combination::* member, std::type_identity_t<Member> value) {
  return {std::move(name), std::move(resolved), [member, value](Combination& c) { c.*member = value; }};
}

Json list_of(Spec& spec, const AxisRow& row, const std::string& what) {
  const auto& key = row.keys.front();
  Json list = spec.raw(key, row.neutral);
  if (!list.is_array()) spec.fail(key, concat("found ", list.dump(), ", expected a list of ", what));
  return list;
}

std::vector<std::string> texts_of(Spec& spec, const AxisRow& row) {
  return spec.texts(row.keys.front(), row.neutral->get<std::vector<std::string>>());
}

std::vector<std::int64_t> whole_numbers(const Spec& spec, const std::string& key, const Json& list) {
  std::vector<std::int64_t> numbers;
  if (!list.is_array()) spec.fail(key, concat("found ", list.dump(), ", expected a list of whole numbers from 0 on"));
  for (const auto& value : list) {
    const bool fits =
        value.is_number_integer() && (!value.is_number_unsigned() || value.get<std::uint64_t>() <= largest_seed);
    if (!fits || value.get<std::int64_t>() < 0)
      spec.fail(key, concat("found ", value.dump(), " in the list, expected a whole number from 0 to ", largest_seed));
    numbers.push_back(value.get<std::int64_t>());
  }
  return numbers;
}

// Adds the paths of an attack's files to its identity, which has only the files' content.
Json resolved_attack(const Attack& attack) {
  Json resolved = {{"name", attack.settings().name}, {"identity", attack.identity()}};
  for (const auto* key : {"folder", "targets"})
    if (const auto& all = attack.settings().parameters; all.contains(key) && all[key] != "") resolved[key] = all[key];
  return resolved;
}

Json resolved_transform(const Transform& transform) {
  return {{"name", transform.name()}, {"identity", transform.identity()}};
}

// The config's budgets; 0 is "own".
std::vector<std::int64_t> read_levels(Spec& spec) {
  const Json wanted = spec.raw("budgets", Json::array({"own"}));
  std::vector<std::int64_t> levels;
  if (!wanted.is_array())
    spec.fail("budgets", concat("found ", wanted.dump(), ", expected a list of whole numbers from 1 to 255"));
  for (const auto& one : wanted) {
    const bool is_number = one.is_number_integer() && one >= 1 && one <= 255;
    if (!is_number && one != "own")
      spec.fail("budgets",
                concat("found ", one.dump(), " in the list, expected grey levels from 1 to 255, or \"own\""));
    levels.push_back(is_number ? one.get<std::int64_t>() : 0);
  }
  return levels;
}

// Leaves out which recognisers are attacked; the experiment adds that.
Json resolved_posting(const Posting& posting) {
  Json parts = Json::array();
  for (const auto& [attack, share] : posting.parts) {
    Json surrogates = Json::array();
    for (const auto& surrogate : attack->all_surrogates()) surrogates.push_back(surrogate->card().name);
    Json part = {{"name", attack->settings().name}, {"share", share}, {"surrogates", surrogates}};
    part.update(resolved_attack(*attack));
    parts.push_back(std::move(part));
  }
  return {{"name", posting.name}, {"parts", parts}};
}

// Reads {"name": …, "mix": {NAME: share, …}}; a NAME is another attack of the config, or a preset.
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
    const auto found =
        std::find_if(others.begin(), others.end(), [&name = name](const auto& one) { return one.name == name; });
    if (found == others.end())
      mix.parts.emplace_back(make_attack(name, options), share.get<double>());
    else if (found->parts.size() == 1)
      mix.parts.emplace_back(found->parts.front().first, share.get<double>());
    else
      spec.fail("attacks", concat("mix of ", mix.name, ": ", name, " is itself a mix; expected a single attack"));
  }
  if (std::abs(sum - 1) > 1e-9)
    spec.fail("attacks", concat("mix of ", mix.name, ": its shares sum to ", sum, ", not 1"));
  return mix;
}

Values read_attacks(Spec& spec, const AxisRow& row, const RunOptions& options) {
  const Json wanted = list_of(spec, row, "presets");
  std::vector<Posting> postings;
  const auto is_mix = [](const Json& one) { return one.is_object() && one.contains("mix"); };
  for (const auto& one : wanted) {
    auto& posting = postings.emplace_back();
    if (is_mix(one)) continue;
    const auto attack = make_attack(one, options);
    posting = {attack->settings().name, {{attack, 1.0}}};
    for (const auto levels : read_levels(spec))
      if (const auto other = levels ? with_budget(one, levels, options) : nullptr)
        posting.at_budget[levels] = std::make_shared<const Posting>(Posting{posting.name, {{other, 1.0}}});
  }
  for (std::size_t i = 0; i < postings.size(); ++i)
    if (is_mix(wanted[i])) postings[i] = read_mix(spec, wanted[i], postings, options);
  Values values;
  for (const auto& posting : postings)
    values.push_back(value_of(posting.name, resolved_posting(posting), &Combination::attack,
                              std::make_shared<const Posting>(posting)));
  return values;
}

Values read_budgets(Spec& spec, const AxisRow&, const RunOptions&) {
  Values values;
  for (const auto levels : read_levels(spec))
    values.push_back(value_of(levels ? std::to_string(levels) : "own", levels ? Json(levels) : Json("own"),
                              &Combination::budget, levels));
  return values;
}

// Reads "all", a number of photos (the person posts the others), or {"photos": a number, "posted": "seen"}.
Values read_learned_from(Spec& spec, const AxisRow& row, const RunOptions&) {
  Values values;
  for (const auto& one : list_of(spec, row, "numbers of photos")) {
    LearnedFrom from;
    const Json number =
        one.is_object() && one.size() == 2 && one.value("posted", "") == "seen" && one.contains("photos")
            ? one["photos"]
            : one;
    from.posts_seen = one.is_object();
    if (number.is_number_integer() && number >= 1 && number <= 1000000)
      from.photos = number.get<std::int64_t>();
    else if (one != "all")
      spec.fail("learned_from", concat("found ", one.dump(),
                                       " in the list, expected \"all\", a number of photos from "
                                       "1 on, or {\"photos\": a number, \"posted\": \"seen\"}"));
    auto name = from.photos ? std::to_string(from.photos) : "all";
    if (from.posts_seen) name += ", seen";
    values.push_back(value_of(std::move(name), one, &Combination::learned_from, from));
  }
  return values;
}

Values read_transforms(Spec& spec, const AxisRow& row, const RunOptions&) {
  Values values;
  for (const auto& one : list_of(spec, row, "transforms")) {
    const auto transform = make_transform(one);
    values.push_back(value_of(transform ? transform->name() : "none",
                              transform ? resolved_transform(*transform) : Json("none"), &Combination::transform,
                              transform));
  }
  return values;
}

// Parses words joined by +.
TransformOn parse_transform_on(const Spec& spec, const std::string& joined) {
  TransformOn on;
  const std::map<std::string, bool TransformOn::*> members = {
      {"perturbed", &TransformOn::perturbed}, {"gallery", &TransformOn::gallery}, {"probes", &TransformOn::probes}};
  bool is_repeated = false;
  for (std::size_t start = 0; start <= joined.size();) {
    const auto end = std::min(joined.find('+', start), joined.size());
    const auto member = members.find(joined.substr(start, end - start));
    if (member == members.end())
      spec.fail("transform_on",
                concat("found \"", joined, "\", expected perturbed, gallery or probes, or several joined by +"));
    is_repeated |= on.*member->second;
    on.*member->second = true;
    start = end + 1;
  }
  if (is_repeated) spec.fail("transform_on", concat("\"", joined, "\" names one twice"));
  return on;
}

Values read_transform_on(Spec& spec, const AxisRow& row, const RunOptions&) {
  Values values;
  for (const auto& on : texts_of(spec, row))
    values.push_back(value_of(on, on, &Combination::transform_on, parse_transform_on(spec, on)));
  return values;
}

Values read_numbers(Spec& spec, const AxisRow& row, std::int64_t Combination::* member) {
  Values values;
  for (const auto number : whole_numbers(spec, row.keys.front(), spec.raw(row.keys.front(), row.neutral)))
    values.push_back(value_of(std::to_string(number), number, member, number));
  return values;
}

Values read_clean_photos(Spec& spec, const AxisRow& row, const RunOptions&) {
  return read_numbers(spec, row, &Combination::clean_photos);
}

Values read_distractors(Spec& spec, const AxisRow& row, const RunOptions&) {
  return read_numbers(spec, row, &Combination::distractors);
}

// Reads a list of words, each the name of an enum value.
template <class Enum>
Values read_words(Spec& spec, const AxisRow& row, Enum Combination::* member,
                  const std::vector<std::pair<std::string, Enum>>& words) {
  Values values;
  for (const auto& word : texts_of(spec, row)) {
    const auto found = std::find_if(words.begin(), words.end(), [&](const auto& one) { return one.first == word; });
    if (found == words.end()) {
      std::vector<std::string> expected;
      for (const auto& [name, value] : words) expected.push_back(name);
      const auto last = expected.back();
      expected.pop_back();
      spec.fail(row.keys.front(), concat("found \"", word, "\", expected ", listed(expected), " or ", last));
    }
    values.push_back(value_of(word, word, member, found->second));
  }
  return values;
}

Values read_enrolled(Spec& spec, const AxisRow& row, const RunOptions&) {
  return read_words<Enrolled>(
      spec, row, &Combination::enrolled,
      {{"replaced", Enrolled::replaced}, {"added", Enrolled::added}, {"absent", Enrolled::absent}});
}

Values read_together(Spec& spec, const AxisRow& row, const RunOptions&) {
  return read_words<Together>(spec, row, &Combination::together, {{"one", Together::one}, {"half", Together::half}});
}

AxisValue read_probe_override(const Spec& spec, const Json& wanted, const RunOptions& options) {
  using Kind = ProbeOverride::Kind;
  const auto named = [&](std::string name, Json resolved, ProbeOverride probes) {
    return value_of(std::move(name), std::move(resolved), &Combination::probes, std::move(probes));
  };
  if (wanted == "clean") return named("clean", wanted, {Kind::clean});
  if (wanted == "as-posted") return named("as-posted", wanted, {Kind::as_posted});
  const bool has_one_key = wanted.is_object() && wanted.size() == 1;
  if (has_one_key && wanted.contains("attack")) {
    const auto attack = make_attack(wanted["attack"], options);
    return named(attack->settings().name, resolved_attack(*attack), {Kind::attack, attack});
  }
  const auto transform = has_one_key && wanted.contains("transform") ? make_transform(wanted["transform"]) : nullptr;
  if (!transform)
    spec.fail("probes", concat("found ", wanted.dump(),
                               ", expected \"clean\", \"as-posted\", {\"attack\": a preset} or {\"transform\": one}"));
  return named(transform->name(), resolved_transform(*transform), {Kind::transform, nullptr, transform});
}

Values read_probes(Spec& spec, const AxisRow& row, const RunOptions& options) {
  Values values;
  for (const auto& one : list_of(spec, row, "kinds of probes"))
    values.push_back(read_probe_override(spec, one, options));
  return values;
}

void anchor_probes(Json& value, const fs::path& base) {
  if (!value.is_object()) return;
  if (value.contains("attack")) anchor_attack(value["attack"], base);
  if (value.contains("transform")) anchor_transform(value["transform"], base);
}

// Reads cloak detectors by name or card; "none" is no detector.
Values read_filters(Spec& spec, const AxisRow& row, const RunOptions& options) {
  Values values;
  for (const auto& name : texts_of(spec, row)) {
    const auto detector = name == "none" ? nullptr : make_cloak_detector(name, options);
    values.push_back(value_of(detector ? detector->card().name : "none",
                              detector ? resolved_detector(*detector) : Json("none"), &Combination::filter, detector));
  }
  return values;
}

Values read_seed_values(Spec& spec, const AxisRow&, const RunOptions&) {
  Values values;
  for (const auto seed : read_seeds(spec))
    values.push_back({std::to_string(seed), seed, [seed, draw = values.size()](Combination& c) {
                        c.seed = seed;
                        c.draw = draw;
                      }});
  return values;
}

// Axes that have an effect only with some values of other axes. Elsewhere there is one combination, and
// the axis's column is empty.
struct DependentAxis {
  Axis axis;
  bool (*has_effect)(const Combination&);
  void (*reset)(Combination&);
};
const std::array<DependentAxis, 3> dependent_axes = {
    {{Axis::budget, [](const Combination& c) { return !c.attack->at_budget.empty(); },
      [](Combination& c) { c.budget = 0; }},
     {Axis::learned_from,
      [](const Combination& c) {
        return c.attack->learns_masks() || (c.probes.attack && c.probes.attack->learns_masks());
      },
      [](Combination& c) { c.learned_from = {}; }},
     {Axis::transform_on, [](const Combination& c) { return c.transform != nullptr; },
      [](Combination& c) { c.transform_on = {}; }}}};

Combination with(Combination combination, Axis axis, const AxisValue& value) {
  combination.names[index_of(axis)] = value.name;
  value.apply(combination);
  return combination;
}

}  // namespace

const std::array<AxisRow, axis_columns.size()>& axis_registry() {
  using enum AxisRow::Resolved;
  const auto one = [](const Json& value) { return Json::array({value}); };
  static const std::array<AxisRow, axis_columns.size()> rows = {{
      {{"attacks"}, {}, always, read_attacks, anchor_attack},
      {{"budgets"}, one("own"), unless_neutral, read_budgets, nullptr},
      {{"learned_from"}, one("all"), unless_neutral, read_learned_from, nullptr},
      {{"transforms"}, one("none"), always, read_transforms, anchor_transform},
      {{"transform_on"}, one("perturbed"), always, read_transform_on, nullptr},
      {{"clean_photos"}, one(0), always, read_clean_photos, nullptr},
      {{"enrolled"}, one("replaced"), always, read_enrolled, nullptr},
      {{"together"}, one("one"), always, read_together, nullptr},
      {{"probes"}, one("clean"), unless_neutral, read_probes, anchor_probes},
      {{"distractors"}, one(0), unless_neutral, read_distractors, nullptr},
      {{"filter"}, one("none"), unless_neutral, read_filters, anchor_path},
      {{"seeds", "seed"}, one(0), never, read_seed_values, nullptr},
  }};
  return rows;
}

std::vector<Seed> read_seeds(Spec& spec) {
  const auto seed = spec.integer("seed", 0, largest_seed, 0);
  if (spec.has("seed") && spec.has("seeds"))
    spec.fail("seeds", "found \"seed\" and \"seeds\"; expected only one of them");
  const auto seeds = whole_numbers(spec, "seeds", spec.raw("seeds", Json::array({seed})));
  refuse_repeats(spec, "seeds", seeds, [](auto number) { return std::to_string(number); });
  return {seeds.begin(), seeds.end()};
}

Json resolved_detector(const FeatureExtractor& detector) {
  return {{"name", detector.card().name}, {"threshold", detector.card().threshold}, {"identity", detector.identity()}};
}

// Reads the last axis first, so that cheap checks come before a network's file is read.
Axes Axes::from(Spec& spec, const RunOptions& options) {
  Axes axes;
  for (std::size_t axis = axis_columns.size(); axis-- > 0;) {
    const auto& row = axis_registry()[axis];
    axes.values_[axis] = row.read(spec, row, options);
    refuse_repeats(spec, row.keys.front(), axes.values_[axis], [](const AxisValue& value) { return value.name; });
  }
  if (!axes.is_neutral(Axis::together) && !axes.is_neutral(Axis::enrolled))
    spec.fail("together", "\"half\" can only be used with \"enrolled\": [\"replaced\"]");
  if (!axes.is_neutral(Axis::together) && !axes.is_neutral(Axis::learned_from))
    spec.fail("together", "\"half\" can only be used with \"learned_from\": [\"all\"]");
  return axes;
}

bool Posting::learns_masks() const {
  return std::any_of(parts.begin(), parts.end(), [](const auto& part) { return part.first->learns_masks(); });
}

bool Axes::is_neutral(Axis axis) const {
  const auto& row = axis_registry()[index_of(axis)];
  Json values = Json::array();
  for (const auto& value : (*this)[axis]) values.push_back(value.resolved);
  return row.neutral && values == *row.neutral;
}

std::vector<Combination> Axes::each(Axis axis) const {
  std::vector<Combination> all;
  for (const auto& value : (*this)[axis]) all.push_back(with({}, axis, value));
  return all;
}

std::vector<Seed> Axes::seeds() const {
  std::vector<Seed> all;
  for (const auto& one : each(Axis::seed)) all.push_back(one.seed);
  return all;
}

std::vector<std::pair<std::string, std::string>> Combination::coordinates() const {
  std::vector<std::pair<std::string, std::string>> all;
  for (std::size_t axis = 0; axis < names.size(); ++axis) all.emplace_back(axis_columns[axis].name, names[axis]);
  return all;
}

std::vector<Combination> combinations(const Axes& axes) {
  std::vector<Combination> all = {{}};
  for (std::size_t axis = 0; axis < axis_columns.size(); ++axis) {
    std::vector<Combination> longer;
    for (const auto& combination : all)
      for (const auto& value : axes[Axis(axis)]) longer.push_back(with(combination, Axis(axis), value));
    all = std::move(longer);
  }
  const auto is_first = [&](const Combination& c, Axis axis) {
    return c.names[index_of(axis)] == axes[axis].front().name;
  };
  std::erase_if(all, [&](const Combination& c) {
    if (c.enrolled == Enrolled::absent && !(is_first(c, Axis::attack) && is_first(c, Axis::clean_photos))) return true;
    return std::any_of(dependent_axes.begin(), dependent_axes.end(),
                       [&](const auto& one) { return !one.has_effect(c) && !is_first(c, one.axis); });
  });
  for (auto& combination : all)
    for (const auto& [axis, has_effect, reset] : dependent_axes) {
      if (has_effect(combination)) continue;
      reset(combination);
      combination.names[index_of(axis)] = "";
    }
  for (auto& combination : all)
    if (combination.budget) combination.attack = combination.attack->at_budget.at(combination.budget);
  return all;
}

}  // namespace facepoison
