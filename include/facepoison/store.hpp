// A content-addressed store: an artefact is a folder whose name is the SHA-256 of the JSON that says how it was made.
// It is whole, or made again, and safe to share between processes and machines.
//
// In the store's folder are CACHEDIR.TAG, which says whose it is; claims/NAME; KIND/NA/NAME, the artefacts;
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
  fs::file_time_type used_at;        // when it was last found, or made; right to a day
  bool is_of_older_version = false;  // nothing reads it any more
};

enum class Access {
  write,
  read  // nothing is written, not even a note of use: for dry runs, and stores that others fill
};

class ArtifactStore {
 public:
  // Changes nothing: the folder is made when the first claim is. Throws Error(usage) for a folder that is neither empty
  // nor a store, Error(failure) for what is not a folder.
  explicit ArtifactStore(fs::path root, Access access = Access::write);
  ArtifactStore(ArtifactStore&&) noexcept;
  ~ArtifactStore();

  using Fill = std::function<void(const fs::path&)>;

  // The folder of the artefact, where it is there, whole and unaltered (by its files' digests). Else nothing: with a
  // warning for one that was damaged, which the next put() replaces.
  // Several threads may ask at once. Asks stop_if_interrupted() before each file.
  std::optional<fs::path> find(const ArtefactId& id);

  // The same for the holder of the artefact's claim: it sees what another machine published since it last looked.
  std::optional<fs::path> find_claimed(const ArtefactId& id);

  // Of an artefact that was found: the digest of all that it holds, and the digest of its inputs that put() was given.
  std::string content_of(const ArtefactId& id) const;
  std::string inputs_of(const ArtefactId& id) const;

  // None while another holds it. This and what follows throw Error(failure) where the store may only be read.
  std::shared_ptr<Claim> claim(const ArtefactId& id);

  // Makes the artefact anew, under its claim: `fill` writes into the folder that it is given. When it throws, nothing
  // is left. `key`: what id_of() was given; `inputs`: a digest of the inputs' bytes, or "".
  fs::path put(const ArtefactId& id, const Json& key, const std::string& inputs, const Fill& fill);

  // Waits while another process makes it, and looks at first often, then every 10 s. Returns none once `is_there()`, or
  // the claim where its maker is gone.
  std::shared_ptr<Claim> wait_for(const ArtefactId& id, const std::function<bool()>& is_there);

  // Found, or made under a claim, or waited for.
  fs::path get_or_make(const std::string& kind, const Json& key, const Fill& fill);

  fs::path path(const ArtefactId& id) const;

  // All that there are, by kind and name.
  std::vector<Artefact> artefacts() const;
  // What is wrong with it, every byte read; "" for a whole one. After that find() sees the damage too, though no stat
  // of a file shows it. Asks stop_if_interrupted() before each file.
  std::string damage_of(const Artefact& artefact) const;
  // Removes it, under its claim; false where somebody makes it or has used it since it was listed.
  bool remove(const Artefact& artefact);

  std::set<std::string> used() const;  // names of the artefacts that were found, or made, through this object

  // Notes what making so many rows took; `work` is what decides how long one takes. Kept in the store, of all runs
  // together.
  void note_seconds(const std::string& kind, const Json& work, std::size_t rows, double seconds);
  double seconds_a_row(const std::string& kind, const Json& work) const;  // NaN: never made here

  // Notes how a worker computes, in a line of text. workers(): how those compute that noted it within the last day.
  void note_worker(const std::string& arithmetic);
  std::vector<std::string> workers() const;

  // The SHA-256 of each file, which lies below `folder`; "" for one that cannot be read. They are kept in the store,
  // and taken again where a file's size, times or inode differ (see DigestRecord). Calls stop_if_interrupted() before
  // each.
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
