// A strict reader of JSON settings: every key must be read, every read is recorded.
// The record, defaults included, is the provenance of a result and part of its cache key.
#pragma once
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "facepoison/files.hpp"

namespace facepoison {

using Json = nlohmann::ordered_json;

class Spec {
 public:
  // `where` names the source in messages ("x.json"). Throws Error(usage) unless `value` is an object.
  Spec(Json value, std::string where);

  // One reader a type; without a default the key is required. Wrong type, range or choice: Error(usage) that says
  // where, what was found and what would be right.
  std::string text(const std::string& key, std::optional<std::string> fallback = {});
  std::string choice(const std::string& key, const std::vector<std::string>& choices,
                     std::optional<std::string> fallback = {});
  double number(const std::string& key, double low, double high, std::optional<double> fallback = {});
  std::int64_t integer(const std::string& key, std::int64_t low, std::int64_t high,
                       std::optional<std::int64_t> fallback = {});
  bool flag(const std::string& key, std::optional<bool> fallback = {});
  std::vector<std::string> texts(const std::string& key, std::optional<std::vector<std::string>> fallback = {});
  std::vector<double> numbers(const std::string& key, std::size_t count);
  Json raw(const std::string& key, std::optional<Json> fallback = {});  // any JSON; the caller checks it
  Spec object(const std::string& key);  // required; a nested reader whose record becomes part of this one's

  bool has(const std::string& key) const;

  // Throws Error(usage) for the first key that nobody read, with the nearest known one.
  void finish() const;
  Json record() const;
  const std::string& where() const;
  // An Error(usage) about one key, to throw.
  [[noreturn]] void fail(const std::string& key, const std::string& problem) const;

 private:
  struct Node;
  explicit Spec(std::shared_ptr<Node> node) : node_(std::move(node)) {}
  const Json* find(const std::string& key, bool required) const;
  std::shared_ptr<Node> node_;
};

// Parses JSON: 64 MB and 64 levels at most, duplicate keys refused, the line and column named. Throws Error(usage).
Json parse_json(const std::string& text, const std::string& where);
Json read_json(const fs::path& path);

// A config file, which may name another as its "base" and then has that one's keys but for its own, with KEY=VALUE
// overrides: a dotted KEY's parts are keys of objects or places in lists; VALUE is JSON where it parses, else a text. A
// key of null takes that key out. `anchor_paths` makes the paths in a JSON object absolute: those of the file from the
// file's folder, those of an override of a whole key from the working folder; it may set other keys to null.
Json read_config(const fs::path& file, const std::vector<std::string>& overrides,
                 const std::function<void(Json&, const fs::path&)>& anchor_paths);

// A text with a slash or a file's ending is a path: made absolute, from `base`.
void anchor_path(Json& value, const fs::path& base);

void set_key(Json& config, const std::string& assignment);  // one such override, without paths

bool is_utf8(const std::string& text);

// "a, b, c", or "a, b and 7 more" beyond `most` names.
std::string listed(const std::vector<std::string>& names, std::size_t most = -1);

// The nearest of `known` to `word` by edit distance, or "" when none is near.
std::string nearest_name(const std::string& word, const std::vector<std::string>& known);

}  // namespace facepoison
