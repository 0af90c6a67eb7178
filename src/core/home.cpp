#include "facepoison/home.hpp"

#include <algorithm>
#include <cstdlib>

#include "facepoison/error.hpp"

namespace facepoison {
namespace {

const fs::path installed_as = fs::path("share") / "facepoison";

bool has_cards(const fs::path& folder) {
  std::error_code error;
  return fs::is_directory(folder / "configs" / "extractors", error);
}

bool is_installed(const fs::path& home) { return home.parent_path().filename() / home.filename() == installed_as; }

// A folder of the XDG base directory specification, which ignores relative paths.
fs::path xdg_folder(const char* variable, const char* below_home) {
  if (const char* path = std::getenv(variable); path && fs::path(path).is_absolute()) return path;
  const char* home = std::getenv("HOME");
  return fs::path(home ? home : "/") / below_home;
}

fs::path shipped_or_own(const fs::path& file) {
  const auto shipped = project_home() / file;
  return fs::exists(shipped) ? shipped : own_home() / file;
}

}  // namespace

fs::path project_home() {
  std::error_code error;
  if (const char* home = std::getenv("FACEPOISON_HOME"); home && *home) {
    if (has_cards(home)) return fs::absolute(home);
    throw Error(Exit::usage, concat("FACEPOISON_HOME=", home, " holds no configs/extractors"));
  }
  const fs::path binary = fs::read_symlink("/proc/self/exe", error);
  for (fs::path folder = binary.parent_path(); !folder.empty(); folder = folder.parent_path()) {
    for (const auto& home : {folder, folder / installed_as})
      if (has_cards(home)) return home;
    if (folder == folder.parent_path()) break;
  }
  throw Error(Exit::usage,
              concat("no configs/extractors above ", binary.string(), ": set FACEPOISON_HOME to the project's folder"));
}

fs::path own_home() {
  const auto home = project_home();
  return is_installed(home) ? xdg_folder("XDG_DATA_HOME", ".local/share") / "facepoison" : home;
}

fs::path default_store() {
  const auto home = project_home();
  return (is_installed(home) ? xdg_folder("XDG_CACHE_HOME", ".cache") / "facepoison" : home) / "store";
}

fs::path resolve_named(const std::string& name_or_path, const fs::path& folder) {
  if (name_or_path.find('/') != std::string::npos || name_or_path.ends_with(".json")) return fs::absolute(name_or_path);
  return shipped_or_own(folder / (name_or_path + ".json"));
}

fs::path model_path(const std::string& file, const fs::path& card_folder) {
  return file.find('/') == std::string::npos ? shipped_or_own(fs::path("models") / file)
                                             : (card_folder / file).lexically_normal();
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& home : {project_home(), own_home()})
    for (const auto& entry : fs::directory_iterator(home / folder, error))
      if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace facepoison
