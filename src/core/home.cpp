#include "facepoison/home.hpp"

#include <algorithm>
#include <cstdlib>

#include "facepoison/error.hpp"

namespace facepoison {

fs::path project_home() {
  std::error_code error;
  if (const char* home = std::getenv("FACEPOISON_HOME"); home && *home) {
    if (fs::is_directory(fs::path(home) / "configs" / "extractors", error)) return fs::absolute(home);
    throw Error(Exit::usage, concat("FACEPOISON_HOME=", home, " holds no configs/extractors"));
  }
  const fs::path binary = fs::read_symlink("/proc/self/exe", error);
  for (fs::path folder = binary.parent_path(); !folder.empty(); folder = folder.parent_path()) {
    if (fs::is_directory(folder / "configs" / "extractors", error)) return folder;
    if (folder == folder.parent_path()) break;
  }
  throw Error(Exit::usage,
              concat("no configs/extractors above ", binary.string(), ": set FACEPOISON_HOME to the project's folder"));
}

fs::path resolve_named(const std::string& name_or_path, const fs::path& folder) {
  if (name_or_path.find('/') != std::string::npos || name_or_path.ends_with(".json")) return fs::absolute(name_or_path);
  return project_home() / folder / (name_or_path + ".json");
}

fs::path model_path(const std::string& file, const fs::path& card_folder) {
  return file.find('/') == std::string::npos ? project_home() / "models" / file
                                             : (card_folder / file).lexically_normal();
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(project_home() / folder, error))
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace facepoison
