#include "facepoison/config_file.hpp"

#include <sstream>

#include "facepoison/error.hpp"

namespace facepoison {
namespace {

using Anchor = std::function<void(Json&, const fs::path&)>;

// Overrides keys of `config` by those of `part`; null removes a key.
void lay_over(Json& config, const Json& part) {
  for (const auto& [key, value] : part.items()) {
    config[key] = value;
    if (value.is_null()) config.erase(key);
  }
}

void override_key(Json& config, const std::string& assignment, const Anchor& anchor_paths) {
  const auto equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0)
    throw Error(Exit::usage, concat("--set ", assignment, ": expected KEY=VALUE"));
  if (!is_utf8(assignment))
    throw Error(Exit::usage, concat("--set ", assignment, ": found bytes that are not text, expected UTF-8"));
  if (!config.is_object() && !config.is_null())
    throw Error(Exit::usage, concat("--set ", assignment, ": found ", config.type_name(), ", expected a JSON object"));
  const std::string key = assignment.substr(0, equals), word = assignment.substr(equals + 1);
  Json value = Json::parse(word, nullptr, false);
  if (value.is_discarded()) value = word;
  if (key.find('.') == std::string::npos) {
    Json single = {{key, value}};
    anchor_paths(single, fs::current_path());
    lay_over(config, single);
    return;
  }
  Json* at = &config;
  std::istringstream parts(key);
  for (std::string part; std::getline(parts, part, '.');) {
    if (at->is_array()) {
      if (part.empty() || part.find_first_not_of("0123456789") != std::string::npos || part.size() > 6 ||
          std::stoul(part) >= at->size())
        throw Error(Exit::usage,
                    concat("--set ", assignment, ": \"", part, "\" is not an index in a list of length ", at->size()));
      at = &(*at)[std::stoul(part)];
    } else if (at->is_object() || at->is_null()) {
      at = &(*at)[part];
    } else {
      throw Error(Exit::usage,
                  concat("--set ", assignment, ": the value before \"", part, "\" is not an object or a list"));
    }
  }
  *at = value;
}

// The folder from which a config's relative paths start. For a pipe or a here-document it is the working folder.
fs::path folder_of_config(const fs::path& file) {
  const fs::path whole = fs::absolute(file).lexically_normal();
  for (const auto* own : {"/dev/", "/proc/"})
    if (whole.string().starts_with(own)) return fs::current_path();
  std::error_code unknown;
  return fs::is_fifo(whole, unknown) ? fs::current_path() : whole.parent_path();
}

// Reads the file's keys over those of its "base", if it names one; null removes a key.
Json read_with_base(const fs::path& file, const std::function<void(Json&, const fs::path&)>& anchor_paths,
                    int depth = 0) {
  const fs::path folder = folder_of_config(file);
  Json own = read_json(file);
  anchor_paths(own, folder);
  if (!own.is_object()) return own;
  Json all = Json::object();
  if (!own.contains("base")) {
    lay_over(all, own);
    return all;
  }
  if (!own["base"].is_string() || depth > 8)
    throw Error(Exit::usage, concat(file.string(), ": found \"base\": ", own["base"].dump(),
                                    ", expected the path of a config that does not build on this one"));
  all = read_with_base(folder / own["base"].get<std::string>(), anchor_paths, depth + 1);
  own.erase("base");
  lay_over(all, own);
  return all;
}

}  // namespace

void anchor_path(Json& value, const fs::path& base) {
  if (!value.is_string()) return;
  const auto word = value.get<std::string>();
  if (word.find('/') != std::string::npos || word.ends_with(".json")) value = (base / word).lexically_normal().string();
}

void set_key(Json& config, const std::string& assignment) {
  override_key(config, assignment, [](Json&, const fs::path&) {});
}

Json read_config(const fs::path& file, const std::vector<std::string>& overrides,
                 const std::function<void(Json&, const fs::path&)>& anchor_paths) {
  Json config = read_with_base(file, anchor_paths);
  for (const auto& assignment : overrides) override_key(config, assignment, anchor_paths);
  return config;
}

}  // namespace facepoison
