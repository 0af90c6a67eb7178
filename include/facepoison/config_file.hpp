// Config files: JSON that may build on another file, with single keys overridden.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "facepoison/json.hpp"

namespace facepoison {

// A config file, which may name another as its "base" and then has that one's keys but for its own, with KEY=VALUE
// overrides: a dotted KEY's parts are keys of objects or places in lists; VALUE is JSON where it parses, else a text. A
// key of null takes that key out. `anchor_paths` makes the paths in a JSON object absolute: those of the file from the
// file's folder, those of an override of a whole key from the working folder; it may set other keys to null. Throws
// Error(usage).
Json read_config(const fs::path& file, const std::vector<std::string>& overrides,
                 const std::function<void(Json&, const fs::path&)>& anchor_paths);

// A text with a slash or a file's ending is a path: made absolute, from `base`.
void anchor_path(Json& value, const fs::path& base);

// Applies one such override, without paths. Throws Error(usage).
void set_key(Json& config, const std::string& assignment);

}  // namespace facepoison
