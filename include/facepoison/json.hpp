// JSON as it is read from files.
#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "facepoison/files.hpp"

namespace facepoison {

using Json = nlohmann::ordered_json;  // keys stay in the order in which they were written

// Parses JSON, with comments: 64 MB and 64 levels at most, duplicate keys refused, the line and column named. `where`
// names the source in messages ("x.json"). Throws Error(usage).
Json parse_json(const std::string& text, const std::string& where);

// Reads and parses a file. Throws Error(usage) if there is none or it is not JSON, else as read_file().
Json read_json(const fs::path& path);

}  // namespace facepoison
