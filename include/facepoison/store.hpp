// A content-addressed store: an artefact is a folder, named by the SHA-256 of the JSON that says how it was made. It is
// whole, or made again, and safe to share between processes and machines.
//
// The store's folder has CACHEDIR.TAG, which marks it as a store; claims/NAME; KIND/NA/NAME, the artefacts;
// .tmp-NAME.tmp-XXXX, artefacts that are being made or removed; seconds/, digests/, workers/, notes about earlier runs.
// Nothing else in it is ever changed or removed. NAME is 64 hexadecimal digits.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>

#include "facepoison/artefact.hpp"
#include "facepoison/claim.hpp"
#include "facepoison/files.hpp"

namespace facepoison {

// An artefact in the store.
struct Artefact {
  std::string kind;
  fs::path folder;
  std::uintmax_t bytes = 0;          // of its files
  fs::file_time_type used_at;        // when it was last found or made, to within a day
  bool is_of_older_version = false;  // nothing reads it any more
};

enum class Access {
  write,
  read  // nothing is written, not even a note of use: for dry runs, and stores that others fill
};

class ArtifactStore {
 public:
  // Changes nothing: the folder is made with the first claim. Throws Error(usage) for a folder that is neither empty
  // nor a store, Error(failure) for a path that is not a folder.
  explicit ArtifactStore(fs::path root, Access access = Access::write);
  ArtifactStore(ArtifactStore&&) noexcept;
  ~ArtifactStore();

  using Fill = std::function<void(const fs::path&)>;

  // The folder of the artefact, if it is there, whole and unaltered (by its files' digests). Else none: with a warning
  // if it is damaged; the next put() then replaces it.
  // Any thread may call it. Calls stop_if_interrupted() before each file.
  std::optional<fs::path> find(const ArtefactId& id);

  // The same for the holder of the artefact's claim: it also finds what another machine published in between.
  std::optional<fs::path> find_claimed(const ArtefactId& id);

  // For an artefact that was found: the digest of its content, and the digest of its inputs that put() got.
  std::string content_of(const ArtefactId& id) const;
  std::string inputs_of(const ArtefactId& id) const;

  // None while another holds it. This and later functions throw Error(failure) if the store is read-only.
  std::shared_ptr<Claim> claim(const ArtefactId& id);

  // Makes the artefact anew, under its claim: `fill` writes into the folder that it is given. When it throws, nothing
  // is left. `key`: what id_of() was given; `inputs`: a digest of the inputs' bytes, or "".
  fs::path put(const ArtefactId& id, const Json& key, const std::string& inputs, const Fill& fill);

  // Waits while another process makes it; checks often at first, then every 10 s. Returns none once `is_there()`, or
  // the claim if that process is gone.
  std::shared_ptr<Claim> wait_for(const ArtefactId& id, const std::function<bool()>& is_there);

  // Finds it, makes it under a claim, or waits for it.
  fs::path get_or_make(const std::string& kind, const Json& key, const Fill& fill);

  fs::path path(const ArtefactId& id) const;

  // All artefacts, by kind and name.
  std::vector<Artefact> artefacts() const;
  // Reads every byte and says what is wrong; "" for a whole one. After that find() sees the damage too, even if no stat
  // of a file shows it. Calls stop_if_interrupted() before each file.
  std::string damage_of(const Artefact& artefact) const;
  // Removes it, under its claim; false if a process makes it or has used it since it was listed.
  bool remove(const Artefact& artefact);

  std::set<std::string> used() const;  // names of the artefacts that were found, or made, through this object

  // Notes the time that so many rows took; `work` is what decides the time of one. Kept in the store, for all runs
  // together.
  void note_seconds(const std::string& kind, const Json& work, std::size_t rows, double seconds);
  double seconds_a_row(const std::string& kind, const Json& work) const;  // NaN: never made here

  // Notes a worker's arithmetic, a line of text. workers(): the notes of the last day.
  void note_worker(const std::string& arithmetic);
  std::vector<std::string> workers() const;

  // The SHA-256 of each file below `folder`; "" for one that cannot be read. They are kept in the store, and computed
  // again if a file's size, times or inode differ (see DigestRecord). Calls stop_if_interrupted() before each.
  std::vector<std::string> digests_of(const std::vector<fs::path>& files, const fs::path& folder);

  std::size_t hits() const { return counts_->hits; }
  std::size_t misses() const { return counts_->misses; }
  bool may_write() const { return access_ == Access::write; }
  const fs::path& root() const { return root_; }

 private:
  void open_for_writing();
  void remove_left_over();
  fs::path temporary_of(const std::string& name) const;
  void publish(const fs::path& made, const fs::path& artefact);
  void note_use(const fs::path& artefact);
  [[noreturn]] void fail(const fs::filesystem_error& error) const;
  fs::path root_;
  Access access_;
  std::unique_ptr<ClaimHeartbeat> heartbeat_;
  struct Counts {
    std::atomic<std::size_t> hits = 0, misses = 0;
    std::once_flag opened;  // for writing
    std::mutex mutex;
    std::set<std::string> used;
  };
  std::unique_ptr<Counts> counts_ = std::make_unique<Counts>();
};

}  // namespace facepoison
