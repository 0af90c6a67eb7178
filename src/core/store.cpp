#include "facepoison/store.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "facepoison/digests.hpp"
#include "facepoison/error.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/log.hpp"

namespace facepoison {
namespace {

constexpr auto digests_file = "digests.txt",  // see parse_digests()
    stats_file = "stats.txt",                 // a DigestRecord of the same files
    inputs_file = "inputs.txt";               // the digest that put() was given
constexpr std::size_t name_length = 64;
constexpr std::size_t many = 1000;  // files: a data set may have so many, a block does not
const std::string temporary_prefix = ".tmp-";
const std::size_t temporary_length = temporary_name("").filename().string().size();

// Backup programs leave out a folder that has this file: https://bford.info/cachedir
constexpr auto tag_file = "CACHEDIR.TAG";
constexpr std::string_view tag_text =
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# The store of facepoison, which it fills and empties by itself (facepoison store gc).\n";

bool is_name(std::string_view text) {
  return text.size() == name_length && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Whether an artefact with this name is being made or removed.
bool is_temporary_of_artefact(std::string_view text) {
  return text.size() == temporary_prefix.size() + name_length + temporary_length &&
         text.starts_with(temporary_prefix) && is_name(text.substr(temporary_prefix.size(), name_length));
}

std::vector<Sealed> seal_of(const fs::path& folder) { return parse_digests(read_file(folder / digests_file), folder); }

// Writes the digest of every file, last. Nothing is flushed: files that a crash of the machine damages do not match
// their digests, and are made again. A signal does not interrupt the sealing of a block.
void seal(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (!entry.is_directory()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  DigestRecord stats(folder / stats_file, folder);
  std::string lines;
  for (const auto& file : files) {
    if (files.size() >= many) stop_if_interrupted();
    const auto digest = stats.digest(file);
    if (digest.empty()) throw Error(Exit::failure, concat("cannot read ", file.string(), ", which was just written"));
    lines += digest_line(file.lexically_relative(folder).generic_string(), digest) + "\n";
  }
  write_unflushed(folder / digests_file, lines);
  stats.save();
}

enum class Stats { save, leave };

bool is_whole(const fs::path& folder, Stats how, bool may_stop = false) {
  try {
    DigestRecord stats(folder / stats_file, folder);
    if (first_altered(seal_of(folder), stats, may_stop)) return false;
    if (how == Stats::save) stats.save();
    return true;
  } catch (const std::exception& error) {
    if (may_stop) stop_if_interrupted();  // not damage
    if (is_shortage(error)) throw;        // likewise
    return false;                         // no seal, or one that cannot be read
  }
}

fs::file_time_type used_at(const fs::path& folder) {
  std::error_code unknown;
  const auto noted = fs::last_write_time(folder / stats_file, unknown);
  return unknown ? fs::last_write_time(folder, unknown) : noted;
}

// A digest of all that an artefact holds: equal for equal bytes in files of equal names.
std::string content_in(const fs::path& artefact) { return sha256(read_file(artefact / digests_file)); }

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

// Whether the folder has an artefact of any version.
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

// Another process may be making the store: then it has temporary files. A submission to a cluster leaves a file by
// which its workers recognise the store.
bool is_empty_folder(const fs::path& root) {
  const fs::directory_iterator entries(root), end;
  return std::all_of(entries, end, [](const auto& entry) {
    const auto name = entry.path().filename().string();
    return (name.size() == temporary_length && name.starts_with(temporary_prefix)) || name.starts_with(".submitted-");
  });
}

void refuse_foreign(const fs::path& root) {
  if (has_tag(root) || is_empty_folder(root) || has_artefact(root) || has_tag(root)) return;  // made meanwhile
  throw Error(Exit::usage,
              concat("the store ", root.string(), ": the folder is neither empty nor a store of facepoison (it has no ",
                     tag_file, "); name an empty or a new folder"));
}

// Reads a folder's names anew from a network file system. Otherwise a new name may be missing for half a minute.
void refresh(const fs::path& folder) {
  std::error_code gone;
  const fs::directory_iterator names(folder, gone);
  (void)std::distance(begin(names), end(names));
}

// How many rows were made, and in how many seconds; 0 and 0 if that cannot be read.
std::pair<double, double> read_seconds(const fs::path& file) {
  try {
    const Json known = read_json(file);
    return {known.at("rows"), known.at("seconds")};
  } catch (const std::exception&) {
    return {0, 0};
  }
}

}  // namespace

ArtifactStore::ArtifactStore(fs::path root, Access access)
    : root_(fs::absolute(std::move(root))), access_(access), heartbeat_(std::make_unique<ClaimHeartbeat>()) {
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

// The tag is the first file in the folder, so that no other process mistakes it for a user's.
void ArtifactStore::open_for_writing() {
  if (access_ == Access::read) throw Error(Exit::failure, concat("the store ", root_.string(), " is read-only"));
  std::call_once(counts_->opened, [&] {
    fs::create_directories(root_);
    if (!has_tag(root_)) write_unflushed(root_ / tag_file, tag_text);
    fs::create_directories(root_ / "claims");
    remove_left_over();
  });
}

// Removes files that killed processes left. A half-made artefact is named after its claim: if the claim is free, no
// process is making it. A claim that was not renewed for a minute may have no holder; younger ones are not tried, since
// that is slow on a network file system.
void ArtifactStore::remove_left_over() {
  const fs::path claims = root_ / "claims";
  const auto take_left = [](const fs::path& claim) {
    try {
      return Claim::take(claim);
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
        S_ISREG(found.st_mode) && *now - found.st_mtime > claim_lifetime)
      take_left(entry.path());
}

fs::path ArtifactStore::path(const ArtefactId& id) const { return root_ / id.kind / id.name.substr(0, 2) / id.name; }

std::optional<fs::path> ArtifactStore::find(const ArtefactId& id) {
  const fs::path found = path(id);
  if (!fs::is_directory(found)) return {};
  if (is_whole(found, access_ == Access::read ? Stats::leave : Stats::save, true)) {
    ++counts_->hits;
    note_use(found);
    return found;
  }
  log_warning(concat("the store's ", found.lexically_relative(root_).string(), " is damaged and is made again"));
  return {};
}

std::optional<fs::path> ArtifactStore::find_claimed(const ArtefactId& id) {
  const fs::path wanted = path(id);
  fs::path there = wanted.parent_path();  // the nearest folder above it that is known
  while (there != root_ && !fs::is_directory(there)) there = there.parent_path();
  if (!fs::is_directory(wanted)) refresh(there);
  return find(id);
}

std::string ArtifactStore::content_of(const ArtefactId& id) const { return content_in(path(id)); }

std::string ArtifactStore::inputs_of(const ArtefactId& id) const {
  const auto file = path(id) / inputs_file;
  return fs::exists(file) ? read_file(file) : "";
}

std::shared_ptr<Claim> ArtifactStore::claim(const ArtefactId& id) {
  try {
    open_for_writing();
    auto claim = Claim::take(root_ / "claims" / id.name);
    if (claim) heartbeat_->keep(claim);
    return claim;
  } catch (const fs::filesystem_error& error) {
    fail(error);
  }
}

void ArtifactStore::fail(const fs::filesystem_error& error) const {
  throw Error(is_shortage(error) ? Exit::resource : Exit::failure,
              concat("cannot write the store ", root_.string(), ": ", error.what()));
}

// Refreshes the mtime of one of the artefact's files, which says when it was last used. Once a day, since each refresh
// is a request to a network file system; not in a read-only store.
void ArtifactStore::note_use(const fs::path& artefact) {
  const auto day_ago = fs::file_time_type::clock::now() - std::chrono::hours(24);
  if (access_ == Access::write && used_at(artefact) < day_ago)
    utimensat(AT_FDCWD, (artefact / stats_file).c_str(), nullptr, 0);
  const std::lock_guard lock(counts_->mutex);
  counts_->used.insert(artefact.filename());
}

fs::path ArtifactStore::temporary_of(const std::string& name) const {
  return root_ / concat(temporary_prefix, name, temporary_name("").string());
}

fs::path ArtifactStore::put(const ArtefactId& id, const Json& key, const std::string& inputs, const Fill& fill) {
  ++counts_->misses;
  const fs::path final = path(id), temporary = temporary_of(id.name);
  std::error_code ignored;
  try {
    open_for_writing();
    fs::create_directories(temporary);
    write_unflushed(temporary / "key.json", key.dump(1) + "\n");
    if (!inputs.empty()) write_unflushed(temporary / inputs_file, inputs);
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

// Gives a new artefact its name. If an artefact has the name already, it is removed if it is damaged or made from other
// inputs, and kept if it has the same bytes: another machine, which took this process for dead, made it.
void ArtifactStore::publish(const fs::path& made, const fs::path& artefact) {
  std::error_code error, ignored;
  const auto is_same = [&](const fs::path& folder) {
    return is_whole(folder, Stats::leave) && content_in(folder) == content_in(made);
  };
  for (int tries = 0; tries < 3; ++tries) {
    fs::rename(made, artefact, error);
    if (!error) return;
    if (!fs::exists(artefact, ignored)) break;
    if (is_same(artefact)) {
      fs::remove_all(made, ignored);
      return;
    }
    const auto away = temporary_of(artefact.filename());
    fs::rename(artefact, away, ignored);
    if (is_same(away)) fs::rename(away, artefact, ignored);  // it was published since we looked
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
        problem = name + " does not match its digest";
      if (!problem.empty()) break;
    }
  } catch (const std::exception& error) {
    stop_if_interrupted();  // not damage
    problem = error.what();
  }
  std::error_code ignored;
  if (!problem.empty()) fs::remove(artefact.folder / stats_file, ignored);
  return problem;
}

bool ArtifactStore::remove(const Artefact& artefact) {
  const auto name = artefact.folder.filename().string();
  const auto mine = claim({artefact.kind, name});
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

std::vector<std::string> ArtifactStore::digests_of(const std::vector<fs::path>& files, const fs::path& folder) {
  DigestRecord record(root_ / "digests" / sha256(fs::weakly_canonical(folder).string()), folder);
  std::vector<std::string> digests;
  for (const auto& file : files) {
    stop_if_interrupted();
    digests.push_back(record.digest(file));
  }
  if (access_ == Access::read) return digests;
  try {
    open_for_writing();
    record.save();
  } catch (const std::exception& error) {  // a read-only store
    log_debug(concat("digests will be computed again next time: ", error.what()));
  }
  return digests;
}

void ArtifactStore::note_seconds(const std::string& kind, const Json& work, std::size_t rows, double seconds) {
  const fs::path file = root_ / "seconds" / id_of(kind, work).name;
  const auto [before, took] = read_seconds(file);
  write_file(file,
             Json{{"kind", kind}, {"rows", before + static_cast<double>(rows)}, {"seconds", took + seconds}}.dump());
}

double ArtifactStore::seconds_a_row(const std::string& kind, const Json& work) const {
  const auto [rows, seconds] = read_seconds(root_ / "seconds" / id_of(kind, work).name);
  return seconds / rows;  // 0 / 0 is NaN
}

void ArtifactStore::note_worker(const std::string& arithmetic) {
  try {
    open_for_writing();
    write_file(root_ / "workers" / sha256(arithmetic), arithmetic);
  } catch (const fs::filesystem_error& error) {
    fail(error);
  }
}

std::vector<std::string> ArtifactStore::workers() const {
  std::vector<std::string> all;
  std::error_code none;  // if there was no worker
  for (const auto& note : fs::directory_iterator(root_ / "workers", none))
    if (is_name(note.path().filename().string()) &&
        note.last_write_time() > fs::file_time_type::clock::now() - std::chrono::hours(24))
      all.push_back(read_file(note.path()));
  return all;
}

std::shared_ptr<Claim> ArtifactStore::wait_for(const ArtefactId& id, const std::function<bool()>& is_there) {
  for (Pauses pauses;; pauses.wait()) {
    if (auto mine = claim(id)) return is_there() ? nullptr : mine;  // it may have been made just before
    if (is_there()) return nullptr;
    if (pauses.is_first()) log_info(concat("another process is making the artefact (", id.kind, "); waiting for it"));
  }
}

fs::path ArtifactStore::get_or_make(const std::string& kind, const Json& key, const Fill& fill) {
  const auto id = id_of(kind, key);
  if (const auto found = find(id)) return *found;
  const auto mine = wait_for(id, [&] { return find_claimed(id).has_value(); });
  return mine ? put(id, key, "", fill) : path(id);
}

}  // namespace facepoison
