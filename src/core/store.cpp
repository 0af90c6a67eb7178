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

#include "facepoison/digests.hpp"
#include "facepoison/error.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/log.hpp"

namespace facepoison {
namespace {

constexpr std::chrono::milliseconds heartbeat{10000}, shortest_pause{100}, longest_pause{10000};
constexpr std::time_t gone_after = 60;                                 // seconds without a heartbeat
constexpr auto digests_file = "digests.txt", looks_file = "seal.txt";  // see parse_digests() and DigestRecord
constexpr std::size_t name_length = 64;
constexpr std::size_t many = 1000;  // files: a data set may have so many, no block of work has
const std::string temporary_prefix = ".tmp-";
const std::size_t temporary_length = temporary_name("").filename().string().size();

// Backup programs leave out a folder that has this file: https://bford.info/cachedir
constexpr auto tag_file = "CACHEDIR.TAG";
constexpr std::string_view tag_text =
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# The store of facepoison, which it fills and empties by itself (facepoison store gc).\n";

// This machine since it started, the same in all of its containers.
const std::string& this_boot() {
  static const std::string id = [] {
    std::string line = "unknown";
    std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), line);
    return line;
  }();
  return id;
}

// The order in which a key was written is not part of it. The number is the form of an artefact's own files.
std::string name_of(const std::string& kind, const Json& key) {
  return sha256(concat(kind, "\n2\n", nlohmann::json(key).dump()));  // its keys are sorted
}

bool is_name(std::string_view text) {
  return text.size() == name_length && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Is it the name of an artefact that is being made or removed?
bool is_temporary_of_artefact(std::string_view text) {
  return text.size() == temporary_prefix.size() + name_length + temporary_length &&
         text.starts_with(temporary_prefix) && is_name(text.substr(temporary_prefix.size(), name_length));
}

std::string content_of(int file) {
  char text[128] = {};
  const auto count = pread(file, text, sizeof text, 0);
  return {text, count > 0 ? static_cast<std::size_t>(count) : 0};
}

// The time of a file system, which other machines share; none where nothing can be written there.
std::optional<std::time_t> time_in(const fs::path& folder) {
  const fs::path fresh = temporary_name(folder);
  const int clock = open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (clock < 0) return {};
  struct stat now{};
  const bool known = fstat(clock, &now) == 0;
  close(clock);
  unlink(fresh.c_str());
  return known ? std::optional(now.st_mtime) : std::nullopt;
}

bool is_old(int file, const fs::path& folder) {
  const auto now = time_in(folder);
  struct stat then{};
  return now && fstat(file, &then) == 0 && *now - then.st_mtime > gone_after;
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
      const bool of_this_machine = locks_work && content_of(file).starts_with(this_boot());
      if ((locks_work && !locked) || (!of_this_machine && !is_old(file, path.parent_path()))) {
        close(file);
        return nullptr;
      }
    }
    const auto token = this_boot() + temporary_name("").string();
    const auto claim = std::make_shared<Claim>(path, file, token);
    if (ftruncate(file, 0) != 0 || pwrite(file, token.data(), token.size(), 0) < 0)
      throw fs::filesystem_error("cannot write", path, {errno, std::system_category()});
    return claim;
  }
}

std::vector<Sealed> seal_of(const fs::path& folder) { return parse_digests(read_file(folder / digests_file), folder); }

// Notes the digest of every file, last. Nothing is flushed: what a crash of the machine loses does not agree with it,
// and is made again. A signal does not cost the block of work that is sealed.
void seal(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (!entry.is_directory()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  DigestRecord looks(folder / looks_file, folder);
  std::string lines;
  for (const auto& file : files) {
    if (files.size() >= many) stop_if_interrupted();
    const auto digest = looks.digest(file);
    if (digest.empty()) throw Error(Exit::failure, concat("cannot read ", file.string(), ", which was just written"));
    lines += digest_line(file.lexically_relative(folder).generic_string(), digest) + "\n";
  }
  write_unflushed(folder / digests_file, lines);
  looks.save();
}

enum class Looks { keep, leave };  // save the DigestRecord of the files, or write nothing

bool is_whole(const fs::path& folder, Looks how, bool may_stop = false) {
  try {
    DigestRecord looks(folder / looks_file, folder);
    if (first_altered(seal_of(folder), looks, may_stop)) return false;
    if (how == Looks::keep) looks.save();
    return true;
  } catch (const std::exception& error) {
    if (may_stop) stop_if_interrupted();  // which is no damage
    if (is_shortage(error)) throw;        // nor is this
    return false;                         // no seal, or one that cannot be read
  }
}

fs::file_time_type used_at(const fs::path& folder) {
  std::error_code unknown;
  const auto noted = fs::last_write_time(folder / looks_file, unknown);
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

// Has a folder an artefact in it, of whichever version?
bool has_artefact(const fs::path& root) {
  for (const auto& kind : folders_in(root))
    for (const auto& part : folders_in(kind))
      for (const auto& folder : folders_in(part))
        if (is_name(folder.filename().string()) && fs::exists(folder / "key.json")) return true;
  return false;
}

bool has_tag(const fs::path& root) {
  std::error_code unknown;
  return fs::is_regular_file(root / tag_file, unknown) && read_file(root / tag_file).starts_with(tag_text);
}

// Another process may be making the store: then there are files in it that it has not named yet.
bool is_empty_folder(const fs::path& root) {
  const fs::directory_iterator entries(root), end;
  return std::all_of(entries, end, [](const auto& entry) {
    const auto name = entry.path().filename().string();
    return name.size() == temporary_length && name.starts_with(temporary_prefix);
  });
}

void refuse_foreign(const fs::path& root) {
  if (has_tag(root) || is_empty_folder(root) || has_artefact(root) || has_tag(root)) return;  // made meanwhile
  throw Error(Exit::usage,
              concat("the store ", root.string(), ": the folder is neither empty nor a store of facepoison (it has no ",
                     tag_file, "); name an empty or a new folder"));
}

// Asks the server of a network file system for a folder's names. Until then it may answer for half a minute that a
// name is not there.
void refresh(const fs::path& folder) {
  std::error_code gone;
  const fs::directory_iterator names(folder, gone);
  (void)std::distance(begin(names), end(names));
}

// Waits, but not after a signal.
void pause_for(std::chrono::milliseconds time) {
  for (; time.count() > 0; time -= shortest_pause) {
    stop_if_interrupted();
    std::this_thread::sleep_for(std::min(time, shortest_pause));
  }
  stop_if_interrupted();
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

Claim::Claim(fs::path path, int file, std::string token)
    : path_(std::move(path)), file_(file), token_(std::move(token)) {}

Claim::~Claim() {
  if (is_held()) unlink(path_.c_str());  // while it is locked, so that nobody's new one is meant
  close(file_);
}

bool Claim::is_held() const { return is_at(path_, file_) && content_of(file_) == token_; }

void Claim::renew() const {
  if (is_held()) futimens(file_, nullptr);
}

ArtifactStore::ArtifactStore(fs::path root) : root_(fs::absolute(std::move(root))), heart_(std::make_unique<Heart>()) {
  std::error_code error;
  const auto status = fs::status(root_, error);
  if (!fs::exists(status)) return;
  if (!fs::is_directory(status)) throw Error(Exit::failure, concat("the store ", root_.string(), ": not a folder"));
  try {
    refuse_foreign(root_);
  } catch (const fs::filesystem_error& unreadable) {
    throw Error(Exit::failure, concat("cannot read the store ", root_.string(), ": ", unreadable.code().message()));
  }
}

ArtifactStore::ArtifactStore(ArtifactStore&&) noexcept = default;
ArtifactStore::~ArtifactStore() = default;

// The tag is the first file in the folder, so that no other process takes it for a user's.
void ArtifactStore::open_for_writing() {
  std::call_once(counts_->opened, [&] {
    fs::create_directories(root_);
    if (!has_tag(root_)) write_unflushed(root_ / tag_file, tag_text);
    fs::create_directories(root_ / "claims");
    remove_left_over();
  });
}

// What killed processes left. An artefact that is half made is called after its claim: nobody makes it where that can
// be had. A claim that has not been renewed for a minute may be nobody's; younger ones are left alone, since trying
// them costs a network file system much.
void ArtifactStore::remove_left_over() {
  const fs::path claims = root_ / "claims";
  const auto take_left = [](const fs::path& claim) {
    try {
      return take(claim);
    } catch (const fs::filesystem_error&) {  // another user's
      return std::shared_ptr<Claim>();
    }
  };
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root_, error)) {
    const auto name = entry.path().filename().string();
    if (!is_temporary_of_artefact(name)) continue;
    if (const auto claim = take_left(claims / name.substr(temporary_prefix.size(), name_length)))
      fs::remove_all(entry.path(), error);
  }
  facepoison::remove_left_over(claims);  // of time_in()
  const auto now = time_in(claims);
  struct stat found{};
  for (const auto& entry : fs::directory_iterator(claims, error))
    if (now && is_name(entry.path().filename().string()) && lstat(entry.path().c_str(), &found) == 0 &&
        S_ISREG(found.st_mode) && *now - found.st_mtime > gone_after)
      take_left(entry.path());
}

fs::path ArtifactStore::path(const std::string& kind, const Json& key) const {
  const auto name = name_of(kind, key);
  return root_ / kind / name.substr(0, 2) / name;
}

std::optional<fs::path> ArtifactStore::find(const std::string& kind, const Json& key) {
  const fs::path found = path(kind, key);
  if (!fs::is_directory(found)) return {};
  if (is_whole(found, planning() ? Looks::leave : Looks::keep, true)) {
    ++counts_->hits;
    note_use(found);
    return found;
  }
  log_warning(concat("the store's ", found.lexically_relative(root_).string(), " was damaged and is made again"));
  return {};
}

std::optional<fs::path> ArtifactStore::find_claimed(const std::string& kind, const Json& key) {
  const fs::path wanted = path(kind, key);
  fs::path there = wanted.parent_path();  // the nearest folder above it that is known
  while (there != root_ && !fs::is_directory(there)) there = there.parent_path();
  if (!fs::is_directory(wanted)) refresh(there);
  return find(kind, key);
}

std::shared_ptr<Claim> ArtifactStore::claim(const std::string& kind, const Json& key) {
  return claim_named(name_of(kind, key));
}

std::shared_ptr<Claim> ArtifactStore::claim_named(const std::string& name) {
  try {
    open_for_writing();
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

// The time of change of one of its files says when the artefact was last used. It is renewed once a day, since each
// costs a network file system a request; of a store that may only be read it stays.
void ArtifactStore::note_use(const fs::path& artefact) {
  const auto day_ago = fs::file_time_type::clock::now() - std::chrono::hours(24);
  if (!planning() && used_at(artefact) < day_ago) utimensat(AT_FDCWD, (artefact / looks_file).c_str(), nullptr, 0);
  const std::lock_guard lock(counts_->mutex);
  counts_->used.insert(artefact.filename());
}

fs::path ArtifactStore::temporary_of(const std::string& name) const {
  return root_ / concat(temporary_prefix, name, temporary_name("").string());
}

fs::path ArtifactStore::put(const std::string& kind, const Json& key, const Fill& fill) {
  ++counts_->misses;
  const fs::path final = path(kind, key), temporary = temporary_of(final.filename());
  std::error_code ignored;
  try {
    open_for_writing();
    fs::create_directories(temporary);
    write_unflushed(temporary / "key.json", key.dump(1) + "\n");
    fill(temporary);
    seal(temporary);
    fs::create_directories(final.parent_path());
    publish(temporary, final);
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

// Gives what was made its name. What has the name already is damaged and goes, or another machine published it, which
// took this process for dead: then it has the same bytes and stays.
void ArtifactStore::publish(const fs::path& made, const fs::path& artefact) {
  std::error_code error, ignored;
  for (int tries = 0; tries < 3; ++tries) {
    fs::rename(made, artefact, error);
    if (!error) return;
    if (!fs::exists(artefact, ignored)) break;
    if (is_whole(artefact, Looks::keep)) {
      fs::remove_all(made, ignored);
      return;
    }
    const auto away = temporary_of(artefact.filename());
    fs::rename(artefact, away, ignored);
    const bool was_published_now = is_whole(away, Looks::leave);  // since we looked
    if (was_published_now) fs::rename(away, artefact, ignored);
    fs::remove_all(away, ignored);
  }
  throw fs::filesystem_error("cannot rename", made, artefact, error);
}

std::vector<Artefact> ArtifactStore::artefacts() const {
  std::vector<Artefact> all;
  for (const auto& kind : folders_in(root_))
    for (const auto& part : folders_in(kind))
      for (const auto& folder : folders_in(part))
        if (const auto name = folder.filename().string(); is_name(name) && name.starts_with(part.filename().string()))
          all.push_back({kind.filename(), folder, bytes_in(folder), used_at(folder),
                         !fs::exists(folder / digests_file) && fs::exists(folder / "digests.json")});
  return all;
}

std::string ArtifactStore::damage_of(const Artefact& artefact) const {
  std::string problem;
  try {
    for (const auto& file : seal_of(artefact.folder)) {
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
  if (!problem.empty()) fs::remove(artefact.folder / looks_file, ignored);
  return problem;
}

bool ArtifactStore::remove(const Artefact& artefact) {
  const auto name = artefact.folder.filename().string();
  const auto mine = claim_named(name);
  if (!mine || used_at(artefact.folder) > artefact.used_at) return false;
  const fs::path away = temporary_of(name);
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

std::vector<std::string> ArtifactStore::digests_of(const std::vector<fs::path>& files, const fs::path& folder) {
  DigestRecord record(root_ / "looks" / sha256(fs::weakly_canonical(folder).string()), folder);
  std::vector<std::string> digests;
  for (const auto& file : files) {
    stop_if_interrupted();
    digests.push_back(record.digest(file));
  }
  if (planning()) return digests;
  try {
    open_for_writing();
    record.save();
  } catch (const std::exception& error) {  // a store that may only be read
    log_debug(concat("digests are taken again next time: ", error.what()));
  }
  return digests;
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
  for (auto pause = shortest_pause;; pause = std::min(2 * pause, longest_pause)) {
    if (const auto found = find(kind, key)) return *found;
    if (const auto mine = claim(kind, key)) {
      if (const auto found = find_claimed(kind, key)) return *found;  // made just before
      return put(kind, key, fill);
    }
    if (pause == shortest_pause) log_info(concat("another process makes what is wanted (", kind, "); waiting for it"));
    pause_for(pause);
  }
}

}  // namespace facepoison
