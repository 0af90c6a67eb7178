#include "facepoison/dataset_folder.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <sstream>

#include "facepoison/error.hpp"
#include "facepoison/spec.hpp"
#include "facepoison/table.hpp"

namespace facepoison {
namespace {

constexpr auto manifest_name = "manifest.jsonl", journal_name = "unfinished.json";
const std::vector<std::string> records = {"rejected.csv", "budget.csv", "prepare.json", "perturb.json"};

bool is_there(const fs::path& path) {
  std::error_code none;
  return fs::exists(fs::symlink_status(path, none));
}

// Adds the name of a file in canvas/; skips a name that leaves that folder.
void add_canvas(std::set<std::string>& canvases, const std::string& name) {
  const auto plain = fs::path(name).lexically_normal().generic_string();
  if (plain == name && name.starts_with("canvas/") && name.ends_with(".png")) canvases.insert(name);
}

// Adds the canvases of a manifest. Throws Error if a line is not one of a data set.
void add_of_manifest(std::set<std::string>& canvases, const std::string& bytes) {
  std::istringstream lines(bytes);
  for (std::string line; std::getline(lines, line);) {
    Spec photo(parse_json(line, manifest_name), manifest_name);
    for (const auto* key : {"id", "person", "sha256", "source_sha256"}) photo.text(key);
    add_canvas(canvases, photo.text("path"));
  }
}

// The canvases that this program made in the folder; none if it is not a data set of this program.
std::optional<std::set<std::string>> made_in_folder(const fs::path& folder) {
  const fs::path manifest = folder / manifest_name, journal = folder / journal_name;
  std::set<std::string> canvases;
  if (!is_there(manifest) && !is_there(journal)) return {};
  try {
    if (is_there(manifest)) {
      const auto bytes = read_file(manifest);
      if (bytes.empty()) return {};
      add_of_manifest(canvases, bytes);
    }
    if (is_there(journal)) {
      Spec unfinished(read_json(journal), journal_name);
      for (const auto& name : unfinished.texts("canvases")) add_canvas(canvases, name);
    }
  } catch (const Error&) {
    return {};
  }
  return canvases;
}

// Whether the folder has other files. Hidden ones do not count, nor does a folder that is marked as a cache: the store
// may be here.
bool has_files(const fs::path& folder) {
  const fs::directory_iterator entries(folder);
  return std::any_of(fs::begin(entries), fs::end(entries), [](const auto& entry) {
    return !entry.path().filename().string().starts_with(".") && !is_there(entry.path() / "CACHEDIR.TAG");
  });
}

// Removes a file, and the folders above it that become empty, up to `root`.
void remove_file(const fs::path& file, const fs::path& root) {
  std::error_code none;
  if (!is_below(file.parent_path(), root) || fs::is_directory(fs::symlink_status(file, none))) return;
  fs::remove(file, none);
  for (auto folder = file.parent_path(); folder != root && fs::is_empty(folder, none); folder = folder.parent_path())
    if (!fs::remove(folder, none)) return;
}

// Flushes the folder's file system to the disk, in one call: one for each of tens of thousands of files would take
// minutes.
void flush_all(const fs::path& folder) {
  const int file = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool failed = file < 0 || syncfs(file) != 0;
  const int error = errno;
  if (file >= 0) close(file);
  if (failed)
    throw Error(is_shortage(error) ? Exit::resource : Exit::failure,
                concat("cannot write ", folder.string(), ": ", std::generic_category().message(error)));
}

}  // namespace

bool is_own_record(const fs::path& file) try {
  std::error_code none;
  if (!fs::is_regular_file(fs::symlink_status(file, none))) return false;
  const auto name = file.filename().string();
  const auto begins = [&](const std::string& start) { return without_mark(read_file(file)).starts_with(start); };
  const auto has = [&](const char* key) { return read_json(file).is_object() && read_json(file).contains(key); };
  if (name == "rejected.csv") return begins("id,person,reason\n");
  if (name == "budget.csv") return begins("id,attack,status,iterations,");
  if (name == "prepare.json") return has("photos") && has("options");
  if (name == "perturb.json") return has("original") && has("attack");
  const auto text = read_file(file);  // lines of digests; in older versions the first is the manifest's
  return name == "verified.txt" && text.find_first_not_of("0123456789abcdef") == 64 && std::isspace(text[64]);
} catch (const Error&) {
  return false;
}

void require_dataset_folder(const fs::path& folder, const std::set<std::string>& files) {
  std::error_code none;
  if (!fs::exists(folder, none)) return;
  if (!fs::is_directory(folder, none)) throw Error(Exit::usage, concat("-o ", folder.string(), " is not a folder"));
  if (!has_files(folder)) return;
  const auto made = made_in_folder(folder);
  if (!made)
    throw Error(Exit::usage, concat("-o ", folder.string(),
                                    " has files and is not a data set that facepoison made; choose a new or an "
                                    "empty folder"));
  for (const auto& file : files)
    if (is_there(folder / file) && !made->count(file) && !is_own_record(folder / file))
      throw Error(Exit::usage, concat((folder / file).string(),
                                      " exists and was not made by facepoison; move it away, or choose another -o"));
}

DatasetFolder::DatasetFolder(fs::path folder, std::set<std::string> files)
    : folder_(std::move(folder)), files_(std::move(files)) {
  require_dataset_folder(folder_, files_);
  made_ = made_in_folder(folder_).value_or(std::set<std::string>());
  for (const auto& file : files_) add_canvas(made_, file);
  write_file(folder_ / journal_name, Json{{"canvases", made_}}.dump() + "\n");
}

void DatasetFolder::settle() const {
  for (const auto& canvas : made_)
    if (!files_.count(canvas)) remove_file(folder_ / canvas, folder_);
  for (const auto& record : records)
    if (!files_.count(record) && is_own_record(folder_ / record)) fs::remove(folder_ / record);
  flush_all(folder_);
}

void DatasetFolder::finish() const { fs::remove(folder_ / journal_name); }

}  // namespace facepoison
