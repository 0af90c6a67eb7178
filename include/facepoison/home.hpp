// Where the project's own files are: cards, presets, models. They are never looked for in the working folder.
#pragma once
#include <string>
#include <vector>

#include "facepoison/files.hpp"

namespace facepoison {

// The folder with configs/extractors: FACEPOISON_HOME, or if that is not set or empty, the first folder above the
// binary that is one (a source tree) or has one as share/facepoison (an installed program). Throws Error(usage).
fs::path project_home();

// The user's own cards and models, which have the same places as there: of an installed program
// $XDG_DATA_HOME/facepoison (~/.local/share/facepoison), otherwise project_home().
fs::path own_home();

// Where cached work goes: of an installed program $XDG_CACHE_HOME/facepoison/store (~/.cache/facepoison/store),
// otherwise project_home()/store.
fs::path default_store();

// "dlib" → <folder>/dlib.json of project_home(), or, if there is none, of own_home(). Anything with a slash or ending
// in .json is a path and returned as it is.
fs::path resolve_named(const std::string& name_or_path, const fs::path& folder);

// models/<file> of project_home() or else own_home(); with a slash in `file`, a path from `card_folder`.
fs::path model_path(const std::string& file, const fs::path& card_folder);

// The file stems of <folder>/*.json of both homes, sorted.
std::vector<std::string> names_in(const fs::path& folder);

}  // namespace facepoison
