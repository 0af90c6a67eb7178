// Config files: JSON that may build on another file, with single keys overridden.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "facepoison/json.hpp"

namespace facepoison {

// Reads a config file. If it names another as its "base", it inherits that one's keys. Then applies KEY=VALUE
// overrides: the parts of a dotted KEY are keys of objects or indices of lists; VALUE is JSON if it parses, else a
// text. A value of null removes the key. `anchor_paths` makes the paths in a JSON object absolute: those of the file
// from the file's folder, those of an override of a whole key from the working folder; it may set other keys to null.
// Throws Error(usage).
Json read_config(const fs::path& file, const std::vector<std::string>& overrides,
                 const std::function<void(Json&, const fs::path&)>& anchor_paths);

// Makes a path absolute, from `base`: a text with a slash or the ending .json.
void anchor_path(Json& value, const fs::path& base);

// Applies one such override, without paths. Throws Error(usage).
void set_key(Json& config, const std::string& assignment);

}  // namespace facepoison
