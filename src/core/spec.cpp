#include "facepoison/spec.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "facepoison/error.hpp"

namespace facepoison {
struct Spec::Node {
  Json value;
  std::string where;
  Json record = Json::object();
  std::set<std::string> known;
  std::map<std::string, std::shared_ptr<Node>> children;
};

Spec::Spec(Json value, std::string where) : node_(std::make_shared<Node>()) {
  if (!value.is_object())
    throw Error(Exit::usage, concat(where, ": found ", value.dump(), ", expected an object { … }"));
  node_->value = std::move(value);
  node_->where = std::move(where);
}

void Spec::fail(const std::string& key, const std::string& problem) const {
  throw Error(Exit::usage, concat(node_->where, ", key \"", key, "\": ", problem));
}

const Json* Spec::find(const std::string& key, bool required) const {
  node_->known.insert(key);
  const auto found = node_->value.find(key);
  if (found != node_->value.end()) return &*found;
  if (!required) return nullptr;
  // Asks about a similar key, and does not call it wrong: it may be a right key that is read later.
  for (const auto& [other, value] : node_->value.items())
    if (!node_->known.count(other) && edit_distance(other, key) <= std::max<std::size_t>(1, key.size() / 5))
      fail(key, concat("missing; is \"", other, "\" a misspelling of it?"));
  fail(key, "missing");
}

bool Spec::has(const std::string& key) const { return node_->value.contains(key); }

std::string Spec::text(const std::string& key, std::optional<std::string> fallback) {
  const Json* found = find(key, !fallback);
  if (found && !found->is_string()) fail(key, concat("found ", found->dump(), ", expected a text"));
  const auto value = found ? found->get<std::string>() : *fallback;
  node_->record[key] = value;
  return value;
}

std::string Spec::choice(const std::string& key, const std::vector<std::string>& choices,
                         std::optional<std::string> fallback) {
  const auto value = text(key, std::move(fallback));
  if (std::find(choices.begin(), choices.end(), value) == choices.end())
    fail(key, concat("found \"", value, "\", expected one of ", listed(choices)));
  return value;
}

double Spec::number(const std::string& key, double low, double high, std::optional<double> fallback) {
  const Json* found = find(key, !fallback);
  if (found && !found->is_number()) fail(key, concat("found ", found->dump(), ", expected a number"));
  const double value = found ? found->get<double>() : *fallback;
  if (!(value >= low && value <= high))
    fail(key, concat("found ", value, ", expected a number from ", low, " to ", high));
  node_->record[key] = value;
  return value;
}

std::int64_t Spec::integer(const std::string& key, std::int64_t low, std::int64_t high,
                           std::optional<std::int64_t> fallback) {
  const Json* found = find(key, !fallback);
  if (found && !found->is_number_integer()) fail(key, concat("found ", found->dump(), ", expected a whole number"));
  // Beyond 63 bits the parser accepts only unsigned whole numbers.
  const bool fits = !found || !found->is_number_unsigned() || found->get<std::uint64_t>() >> 63 == 0;
  const auto value = found ? found->get<std::int64_t>() : *fallback;
  if (!fits || value < low || value > high)
    fail(key, concat("found ", found ? found->dump() : std::to_string(value), ", expected a whole number from ", low,
                     " to ", high));
  node_->record[key] = value;
  return value;
}

bool Spec::flag(const std::string& key, std::optional<bool> fallback) {
  const Json* found = find(key, !fallback);
  if (found && !found->is_boolean()) fail(key, concat("found ", found->dump(), ", expected true or false"));
  const bool value = found ? found->get<bool>() : *fallback;
  node_->record[key] = value;
  return value;
}

std::vector<std::string> Spec::texts(const std::string& key, std::optional<std::vector<std::string>> fallback) {
  const Json* found = find(key, !fallback);
  std::vector<std::string> values;
  if (!found)
    values = *fallback;
  else if (!found->is_array())
    fail(key, concat("found ", found->dump(), ", expected a list of texts"));
  else
    for (const auto& item : *found) {
      if (!item.is_string()) fail(key, concat("found ", item.dump(), " in the list, expected a text"));
      values.push_back(item.get<std::string>());
    }
  node_->record[key] = values;
  return values;
}

std::vector<double> Spec::numbers(const std::string& key, std::size_t count) {
  const Json& found = *find(key, true);
  std::vector<double> values;
  if (found.is_array())
    for (const auto& item : found)
      if (item.is_number()) values.push_back(item.get<double>());
  if (!found.is_array() || values.size() != count || found.size() != count)
    fail(key, concat("found ", found.dump(), ", expected a list of ", count, " numbers"));
  node_->record[key] = values;
  return values;
}

Json Spec::raw(const std::string& key, std::optional<Json> fallback) {
  const Json* found = find(key, !fallback);
  return node_->record[key] = found ? *found : *fallback;
}

Spec Spec::object(const std::string& key) {
  const Json& found = *find(key, true);
  if (!found.is_object()) fail(key, concat("found ", found.dump(), ", expected an object { … }"));
  Spec child(found, node_->where + ", " + key);
  node_->children[key] = child.node_;
  node_->record[key] = nullptr;  // keeps the place; record() fills it
  return child;
}

void Spec::finish() const {
  const std::vector<std::string> known(node_->known.begin(), node_->known.end());
  for (const auto& [key, value] : node_->value.items()) {
    if (node_->known.count(key)) continue;
    const auto near = nearest_name(key, known);
    fail(key, near.empty() ? concat("unknown key; expected one of ", listed(known))
                           : concat("unknown key; did you mean \"", near, "\"?"));
  }
  for (const auto& [key, child] : node_->children) Spec(child).finish();
}

Json Spec::record() const {
  Json out = node_->record;
  for (const auto& [key, child] : node_->children) out[key] = Spec(child).record();
  return out;
}

const std::string& Spec::where() const { return node_->where; }

}  // namespace facepoison
