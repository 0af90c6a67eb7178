// Where the project's own files are: cards, presets, models. They are never looked for in the working folder.
#pragma once
#include <string>
#include <vector>

#include "facepoison/files.hpp"

namespace facepoison {

// FACEPOISON_HOME, or where that is not set or empty the first folder above the binary, that holds configs/extractors.
// Throws Error(usage).
fs::path project_home();

// "dlib" → <home>/<folder>/dlib.json; anything with a slash or ending in .json is a path and returned as it is.
fs::path resolve_named(const std::string& name_or_path, const fs::path& folder);

// models/<file> of the project, or, with a slash in `file`, a path from `card_folder`.
fs::path model_path(const std::string& file, const fs::path& card_folder);

// The file stems of <home>/<folder>/*.json, sorted.
std::vector<std::string> names_in(const fs::path& folder);

}  // namespace facepoison
