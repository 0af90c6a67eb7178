#include "facepoison/store.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <ctime>
#include <fstream>
#include <thread>

#include "facepoison/error.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/log.hpp"

namespace facepoison {
namespace {

constexpr std::chrono::milliseconds heartbeat{10000}, pause{100};
constexpr std::time_t gone_after = 60;  // seconds without a heartbeat
constexpr auto record = "seal.txt";     // see first_altered()
constexpr std::size_t name_length = 64;
constexpr std::size_t many = 1000;  // files: a data set may have so many, no block of work has
const std::string temporary_prefix = ".tmp-";

// This machine since it started, the same in all of its containers.
const std::string& this_boot() {
  static const std::string id = [] {
    std::string line = "unknown";
    std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), line);
    return line;
  }();
  return id;
}

// The order in which a key was written is no part of it.
std::string name_of(const std::string& kind, const Json& key) {
  return sha256(kind + "\n" + nlohmann::json(key).dump());  // whose keys are sorted
}

std::string content_of(int file) {
  char text[64] = {};
  const auto count = pread(file, text, sizeof text, 0);
  return {text, count > 0 ? static_cast<std::size_t>(count) : 0};
}

// By the file system's own clock, which other machines share.
bool is_old(int file, const fs::path& folder) {
  const fs::path fresh = temporary_name(folder);
  const int clock = open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  struct stat now{}, then{};
  const bool known = clock >= 0 && fstat(clock, &now) == 0 && fstat(file, &then) == 0;
  if (clock >= 0) close(clock);
  unlink(fresh.c_str());
  return known && now.st_mtime - then.st_mtime > gone_after;
}

// Does the name still mean the file that was opened?
bool is_at(const fs::path& path, int file) {
  struct stat named{}, opened{};
  return stat(path.c_str(), &named) == 0 && fstat(file, &opened) == 0 && named.st_ino == opened.st_ino &&
         named.st_dev == opened.st_dev;
}

// A claim made, or one that was left taken over; none where its holder lives.
std::shared_ptr<Claim> take(const fs::path& path) {
  for (;;) {
    int file = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file >= 0) {
      flock(file, LOCK_EX);
    } else {
      if (errno != EEXIST) throw fs::filesystem_error("cannot make", path, {errno, std::system_category()});
      file = open(path.c_str(), O_RDWR | O_CLOEXEC);
      if (file < 0 && errno == ENOENT) continue;  // it ended just now
      if (file < 0) throw fs::filesystem_error("cannot open", path, {errno, std::system_category()});
      const bool locked = flock(file, LOCK_EX | LOCK_NB) == 0, locks_work = locked || errno == EWOULDBLOCK;
      if (!is_at(path, file)) {
        close(file);
        continue;
      }
      const bool of_this_machine = locks_work && content_of(file) == this_boot();
      if ((locks_work && !locked) || (!of_this_machine && !is_old(file, path.parent_path()))) {
        close(file);
        return nullptr;
      }
    }
    const auto claim = std::make_shared<Claim>(path, file);
    if (ftruncate(file, 0) != 0 || pwrite(file, this_boot().data(), this_boot().size(), 0) < 0)
      throw fs::filesystem_error("cannot write", path, {errno, std::system_category()});
    return claim;
  }
}

std::vector<Sealed> seal_of(const fs::path& folder, const std::string& digests) {
  std::vector<Sealed> files;
  const Json listed = parse_json(digests, folder.string());
  for (const auto& [name, digest] : listed.items()) files.push_back({folder / name, digest.get<std::string>()});
  return files;
}

// Notes the digest of every file, last. Nothing is flushed: what a crash of the machine loses does not agree with it,
// and is made again. A signal does not cost the block of work that is sealed.
void seal(const fs::path& folder) {
  Json digests = Json::object();
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_directory()) continue;
    if (digests.size() >= many) stop_if_interrupted();
    digests[entry.path().lexically_relative(folder).generic_string()] = sha256_of_file(entry.path());
  }
  const std::string text = digests.dump();
  write_unflushed(folder / "digests.json", text);
  first_altered(seal_of(folder, text), sha256(text), folder / record, digests.size() >= many);
}

bool is_whole(const fs::path& folder, bool may_stop = false) {
  try {
    const std::string digests = read_file(folder / "digests.json");
    return first_altered(seal_of(folder, digests), sha256(digests), folder / record, may_stop) == nullptr;
  } catch (const std::exception& error) {
    if (may_stop) stop_if_interrupted();  // which is no damage
    if (is_shortage(error)) throw;        // nor is this
    return false;                         // no seal, or one that cannot be read
  }
}

fs::file_time_type used_at(const fs::path& folder) {
  std::error_code unknown;
  const auto noted = fs::last_write_time(folder / record, unknown);
  return unknown ? fs::last_write_time(folder, unknown) : noted;
}

std::uintmax_t bytes_in(const fs::path& folder) {
  std::uintmax_t bytes = 0;
  std::error_code gone;
  for (const auto& entry : fs::recursive_directory_iterator(folder, gone))
    if (entry.is_regular_file(gone)) bytes += entry.file_size(gone);
  return bytes;
}

std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> folders;
  std::error_code gone;
  for (const auto& entry : fs::directory_iterator(folder, gone))
    if (entry.is_directory(gone)) folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  return folders;
}

// How many rows were made, and in how many seconds; none where that cannot be read.
std::pair<double, double> read_seconds(const fs::path& file) {
  try {
    const Json known = read_json(file);
    return {known.at("rows"), known.at("seconds")};
  } catch (const std::exception&) {
    return {0, 0};
  }
}

}  // namespace

// Renews the claims of a store while they live.
class ArtifactStore::Heart {
 public:
  void keep(const std::shared_ptr<Claim>& claim) {
    const std::lock_guard lock(mutex_);
    std::erase_if(claims_, [](const auto& one) { return one.expired(); });
    claims_.push_back(claim);
    if (!thread_.joinable()) thread_ = std::jthread([this](const std::stop_token& stop) { beat(stop); });
  }

 private:
  void beat(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, stop, heartbeat, [&] { return stop.stop_requested(); }))
      for (const auto& claim : claims_)
        if (const auto living = claim.lock()) living->renew();
  }

  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::vector<std::weak_ptr<Claim>> claims_;
  std::jthread thread_;  // last: it ends before what it uses
};

Claim::~Claim() {
  unlink(path_.c_str());  // while it is locked, so that nobody's new one is meant
  close(file_);
}

void Claim::renew() const { futimens(file_, nullptr); }

ArtifactStore::ArtifactStore(fs::path root) : root_(fs::absolute(std::move(root))), heart_(std::make_unique<Heart>()) {
  std::error_code error;
  fs::create_directories(root_ / "claims", error);
  if (!fs::is_directory(root_))
    throw Error(is_shortage(error.value()) ? Exit::resource : Exit::failure,
                concat("cannot make the store ", root_.string(), ": ", error.message()));
  remove_left_over();
}

ArtifactStore::ArtifactStore(ArtifactStore&&) noexcept = default;
ArtifactStore::~ArtifactStore() = default;

// A half-made folder is called after its claim: nobody makes it where that can be had. Nor does anybody hold any other
// claim that can be had: it is gone with that.
void ArtifactStore::remove_left_over() {
  const fs::path claims = root_ / "claims";
  const auto take_left = [](const fs::path& claim) {
    try {
      return take(claim);
    } catch (const fs::filesystem_error&) {  // a store that may only be read
      return std::shared_ptr<Claim>();
    }
  };
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root_, error)) {
    const auto name = entry.path().filename().string();
    if (!name.starts_with(temporary_prefix)) continue;
    const auto claim = take_left(claims / name.substr(temporary_prefix.size(), name_length));
    if (claim) fs::remove_all(entry.path(), error);
  }
  for (const auto& entry : fs::directory_iterator(claims, error))
    if (fs::is_regular_file(entry.symlink_status(error))) take_left(entry.path());
}

fs::path ArtifactStore::path(const std::string& kind, const Json& key) const {
  const auto name = name_of(kind, key);
  return root_ / kind / name.substr(0, 2) / name;
}

std::optional<fs::path> ArtifactStore::find(const std::string& kind, const Json& key) {
  const fs::path found = path(kind, key);
  if (!fs::is_directory(found)) return {};
  if (is_whole(found, true)) {
    ++counts_->hits;
    note_use(found);
    return found;
  }
  log_warning(concat("the store's ", found.lexically_relative(root_).string(), " was damaged and is made again"));
  return {};
}

std::shared_ptr<Claim> ArtifactStore::claim(const std::string& kind, const Json& key) {
  return claim_named(name_of(kind, key));
}

std::shared_ptr<Claim> ArtifactStore::claim_named(const std::string& name) {
  try {
    fs::create_directories(root_ / "claims");  // a store that was full, or read only, may have none
    auto claim = take(root_ / "claims" / name);
    if (claim) heart_->keep(claim);
    return claim;
  } catch (const fs::filesystem_error& error) {
    fail(error);
  }
}

void ArtifactStore::fail(const fs::filesystem_error& error) const {
  throw Error(is_shortage(error) ? Exit::resource : Exit::failure,
              concat("cannot write the store ", root_.string(), ": ", error.what()));
}

// The record's time of change says when the artefact was last used; of a store that may only be read it stays.
void ArtifactStore::note_use(const fs::path& artefact) {
  if (!planning()) utimensat(AT_FDCWD, (artefact / record).c_str(), nullptr, 0);
  const std::lock_guard lock(counts_->mutex);
  counts_->used.insert(artefact.filename());
}

fs::path ArtifactStore::put(const std::string& kind, const Json& key, const Fill& fill) {
  ++counts_->misses;
  const fs::path final = path(kind, key), damaged = temporary_name(root_),
                 temporary = root_ / concat(temporary_prefix, name_of(kind, key), damaged.filename().string());
  std::error_code ignored;
  try {
    fs::create_directories(temporary);
    write_unflushed(temporary / "key.json", key.dump(1) + "\n");
    fill(temporary);
    seal(temporary);
    fs::create_directories(final.parent_path());
    if (is_whole(final)) {  // another machine's, that was taken for dead: with the same bytes
      fs::remove_all(temporary);
      note_use(final);
      return final;
    }
    if (fs::exists(final)) {
      fs::rename(final, damaged);
      fs::remove_all(damaged, ignored);
    }
    fs::rename(temporary, final);
    note_use(final);
  } catch (const fs::filesystem_error& error) {
    fs::remove_all(temporary, ignored);
    fail(error);
  } catch (...) {
    fs::remove_all(temporary, ignored);
    throw;
  }
  return final;
}

std::vector<Artefact> ArtifactStore::artefacts() const {
  std::vector<Artefact> all;
  for (const auto& kind : folders_in(root_))
    for (const auto& part : folders_in(kind))
      for (const auto& folder : folders_in(part))
        if (const auto name = folder.filename().string();
            name.size() == name_length && name.starts_with(part.filename().string()))
          all.push_back({kind.filename(), folder, bytes_in(folder), used_at(folder)});
  return all;
}

std::string ArtifactStore::damage_of(const Artefact& artefact) const {
  std::string problem;
  try {
    for (const auto& file : seal_of(artefact.folder, read_file(artefact.folder / "digests.json"))) {
      stop_if_interrupted();
      const auto name = file.path.lexically_relative(artefact.folder).string();
      if (!fs::exists(file.path))
        problem = name + " is missing";
      else if (!same_digest(sha256_of_file(file.path), file.sha256))
        problem = name + " is not what its digest says";
      if (!problem.empty()) break;
    }
  } catch (const std::exception& error) {
    stop_if_interrupted();  // which is no damage
    problem = error.what();
  }
  std::error_code ignored;
  if (!problem.empty()) fs::remove(artefact.folder / record, ignored);
  return problem;
}

bool ArtifactStore::remove(const Artefact& artefact) {
  const auto name = artefact.folder.filename().string();
  const auto mine = claim_named(name);
  if (!mine || used_at(artefact.folder) > artefact.used_at) return false;
  const fs::path away = root_ / concat(temporary_prefix, name, temporary_name(root_).filename().string());
  try {
    fs::rename(artefact.folder, away);  // whole or gone, as everywhere
    fs::remove_all(away);
  } catch (const fs::filesystem_error& error) {
    fail(error);
  }
  return true;
}

std::set<std::string> ArtifactStore::used() const {
  const std::lock_guard lock(counts_->mutex);
  return counts_->used;
}

void ArtifactStore::plan(PlannedUnit unit) {
  if (planned_.insert(unit.id).second) plan_->push_back(std::move(unit));
}

std::string ArtifactStore::plan_all(const std::vector<std::string>& ids) {
  const std::string id = sha256(Json(ids).dump());
  if (planned_.count(id)) return id;
  const std::set<std::string> needed(ids.begin(), ids.end());
  const bool stored = std::none_of(plan_->begin(), plan_->end(),
                                   [&](const auto& unit) { return !unit.stored && needed.count(unit.id); });
  plan({"all", id, stored, 0, ids});
  return id;
}

void ArtifactStore::note_seconds(const std::string& kind, const Json& work, std::size_t rows, double seconds) {
  const fs::path file = root_ / "seconds" / name_of(kind, work);
  const auto [before, took] = read_seconds(file);
  write_file(file,
             Json{{"kind", kind}, {"rows", before + static_cast<double>(rows)}, {"seconds", took + seconds}}.dump());
}

double ArtifactStore::seconds_a_row(const std::string& kind, const Json& work) const {
  const auto [rows, seconds] = read_seconds(root_ / "seconds" / name_of(kind, work));
  return seconds / rows;  // 0 / 0 is NaN
}

fs::path ArtifactStore::get_or_make(const std::string& kind, const Json& key, const Fill& fill) {
  for (bool waiting = false;; waiting = true) {
    if (const auto found = find(kind, key)) return *found;
    if (const auto mine = claim(kind, key)) {
      if (const auto found = find(kind, key)) return *found;  // made just before
      return put(kind, key, fill);
    }
    if (!waiting) log_info(concat("another process makes what is wanted (", kind, "); waiting for it"));
    stop_if_interrupted();
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace facepoison
