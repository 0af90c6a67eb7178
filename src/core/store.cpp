#include "facepoison/store.hpp"

#include <signal.h>

#include <cerrno>
#include <cstdlib>

#include "facepoison/error.hpp"

namespace facepoison {
namespace {

// No such process, or one of ours that ended and that nobody has waited for: it has no program behind it any more.
bool is_gone(int process) {
  if (kill(process, 0) != 0) return errno == ESRCH;
  std::error_code error;
  (void)fs::read_symlink(fs::path("/proc") / std::to_string(process) / "exe", error);
  return error == std::errc::no_such_file_or_directory;
}

// A temporary folder whose process on this machine is gone was left by a kill.
void remove_left_over(const fs::path& root) {
  const std::string mine = temporary_name("").filename().string();             // .tmp-<host>-<pid>-<count>
  const std::string prefix = mine.substr(0, mine.rfind('-', mine.rfind('-') - 1) + 1);  // .tmp-<host>-
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root, error)) {
    const auto name = entry.path().filename().string();
    if (!name.starts_with(prefix)) continue;
    const int process = std::atoi(name.c_str() + prefix.size());
    if (process > 0 && is_gone(process)) fs::remove_all(entry.path(), error);
  }
}

}  // namespace

ArtifactStore::ArtifactStore(fs::path root) : root_(fs::absolute(std::move(root))) {
  std::error_code error;
  fs::create_directories(root_, error);
  if (!fs::is_directory(root_)) throw Error(Exit::failure, concat("cannot make the store ", root_.string(), ": ", error.message()));
  remove_left_over(root_);
}

fs::path ArtifactStore::path(const std::string& kind, const Json& key) const {
  const auto name = sha256(kind + "\n" + key.dump());
  return root_ / kind / name.substr(0, 2) / name;
}

bool ArtifactStore::has(const std::string& kind, const Json& key) const { return fs::is_directory(path(kind, key)); }

fs::path ArtifactStore::get_or_make(const std::string& kind, const Json& key, const std::function<void(const fs::path&)>& fill) {
  const fs::path final = path(kind, key);
  if (fs::is_directory(final)) {
    ++hits_;
    return final;
  }
  ++misses_;
  const fs::path temporary = temporary_name(root_);
  try {
    fs::create_directories(temporary);
    write_file(temporary / "key.json", key.dump(1) + "\n");
    fill(temporary);
    for (const auto& entry : fs::recursive_directory_iterator(temporary)) sync_to_disk(entry.path());
    sync_to_disk(temporary);
    fs::create_directories(final.parent_path());
    std::error_code error;
    fs::rename(temporary, final, error);
    if (error && !fs::is_directory(final)) throw fs::filesystem_error("cannot rename", temporary, final, error);
    if (error) fs::remove_all(temporary);  // another process was first, with the same bytes
    sync_to_disk(final.parent_path());
  } catch (const fs::filesystem_error& error) {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    throw Error(error.code() == std::errc::no_space_on_device ? Exit::resource : Exit::failure,
                concat("cannot write the store ", root_.string(), ": ", error.what()));
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    throw;
  }
  return final;
}

}  // namespace facepoison
