// A strict reader of JSON settings: every key must be read, every read is recorded.
// The record, defaults included, is the provenance of a result and part of its cache key.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "facepoison/json.hpp"

namespace facepoison {

class Spec {
 public:
  // `where` names the source in messages ("x.json"). Throws Error(usage) unless `value` is an object.
  Spec(Json value, std::string where);

  // One reader per type; without a default the key is required. Wrong type, range or choice: Error(usage) that says
  // where, what was found and what was expected.
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

  // Throws Error(usage) for the first unread key, with the nearest known one.
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

}  // namespace facepoison
