#include "experiments/combine.hpp"

#include <algorithm>
#include <set>

#include "facepoison/error.hpp"

namespace facepoison {
namespace {

// Reads {"name": …, "rule": "top-2", "accurate": EXTRACTOR, "robust": EXTRACTOR, "when_above": a distance or "auto",
// "share"}
Pairing read_pairing(const Json& wanted, const Spec& config, const std::vector<Card>& cards) {
  if (!wanted.is_object()) config.fail("combine", concat("found ", wanted.dump(), ", expected an object in the list"));
  Spec spec(wanted, concat(config.where(), ", combine"));
  Pairing pairing;
  pairing.name = spec.text("name");
  pairing.rule =
      spec.choice("rule", {"top-2", "threshold"}) == "top-2" ? Pairing::Rule::top_2 : Pairing::Rule::threshold;
  std::vector<std::string> names;
  for (const auto& card : cards) names.push_back(card.name);
  const auto partner = [&](const std::string& key) {
    const auto name = spec.text(key);
    if (std::find(names.begin(), names.end(), name) != names.end()) return name;
    const auto near = nearest_name(name, names);
    spec.fail(key, concat("\"", name, "\" is not one of this config's extractors",
                          near.empty() ? "" : "; did you mean \"" + near + "\"?"));
  };
  pairing.accurate = partner("accurate");
  pairing.robust = partner("robust");
  if (pairing.accurate == pairing.robust)
    spec.fail("robust", concat("\"", pairing.robust, "\" is also the accurate one; expected another extractor"));
  const Json above = spec.raw("when_above", pairing.rule == Pairing::Rule::top_2 ? Json("always") : Json("auto"));
  pairing.always = above == "always" && pairing.rule == Pairing::Rule::top_2;
  if (above.is_number())
    pairing.above = above.get<double>();
  else if (!pairing.always && above != "auto")
    spec.fail("when_above", concat("found ", above.dump(), ", expected a distance or \"auto\""));
  pairing.share = spec.number("share", 0, 1, 0.05);
  if (wanted.contains("share") && (pairing.always || pairing.above))
    spec.fail("share", "has no effect here: there is no threshold to set");
  spec.finish();
  return pairing;
}

}  // namespace

std::vector<Pairing> read_combine(const Json& wanted, const Spec& spec, const std::vector<Card>& cards,
                                  const std::vector<Card>& absent) {
  if (!wanted.is_array()) spec.fail("combine", concat("found ", wanted.dump(), ", expected a list"));
  std::vector<Pairing> all;
  std::set<std::string> names, missing;
  for (const auto& card : cards) names.insert(card.name);
  for (const auto& card : absent) missing.insert(card.name);
  for (const auto& one : wanted) {
    const auto is_absent = [&](const char* key) {
      return one.is_object() && one.contains(key) && one[key].is_string() && missing.count(one[key].get<std::string>());
    };
    if (is_absent("accurate") || is_absent("robust")) continue;  // like its extractors
    all.push_back(read_pairing(one, spec, cards));
    if (!names.insert(all.back().name).second)
      spec.fail("combine", concat("\"", all.back().name, "\" is the name of another recogniser here"));
  }
  return all;
}

Json json_of(const Pairing& pairing) {
  Json json = {{"name", pairing.name},
               {"rule", pairing.rule == Pairing::Rule::top_2 ? "top-2" : "threshold"},
               {"accurate", pairing.accurate},
               {"robust", pairing.robust}};
  if (!pairing.always) json["when_above"] = pairing.above ? Json(*pairing.above) : Json("auto");
  if (!pairing.always && !pairing.above) json["share"] = pairing.share;
  return json;
}

}  // namespace facepoison
