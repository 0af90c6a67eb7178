// A content-addressed store: an artefact is a folder whose name is the SHA-256 of the JSON that says how it was made.
// It is whole, or made again, and safe to share between processes and machines.
//
// In the store's folder are CACHEDIR.TAG, which says whose it is; claims/NAME; KIND/NA/NAME, the artefacts;
// .tmp-NAME.tmp-XXXX, artefacts that are being made or removed; seconds/ and looks/, notes about earlier runs. Nothing
// else in it is ever changed or removed. NAME is 64 hexadecimal digits.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>

#include "facepoison/files.hpp"
#include "facepoison/spec.hpp"

namespace facepoison {

// The right to make an artefact: a file that its holder keeps locked, and whose time of change it renews every few
// seconds. The holder is gone where the lock is free (the kernel frees it when a process dies, whatever container it
// was in), or where the file is another machine's and has not been renewed for a minute: then the next one takes the
// claim over. It ends with the object.
class Claim {
 public:
  // `token`: what the file says, which nobody else's says.
  Claim(fs::path path, int file, std::string token);
  Claim(const Claim&) = delete;
  ~Claim();
  void renew() const;
  const fs::path& path() const { return path_; }

 private:
  bool is_held() const;  // or did another machine take it over?
  fs::path path_;
  int file_;
  std::string token_;
};

// An artefact that is wanted, and how it stands with it.
struct PlannedUnit {
  std::string arrow, id;  // the kind; the artefact's name, a stand-in while its inputs are not there
  bool stored = false;
  double seconds = 0;              // that making it takes, by what its kind took before; NaN: not known
  std::vector<std::string> needs;  // ids of what it is made from
};

// An artefact as it lies in the store.
struct Artefact {
  std::string kind;
  fs::path folder;
  std::uintmax_t bytes = 0;          // of its files
  fs::file_time_type used_at;        // when it was last found, or made; right to a day
  bool is_of_older_version = false;  // nothing reads it any more
};

class ArtifactStore {
 public:
  // Changes nothing: the folder is made when the first claim is. Throws Error(usage) for a folder that is neither empty
  // nor a store, Error(failure) for what is not a folder.
  explicit ArtifactStore(fs::path root);
  ArtifactStore(ArtifactStore&&) noexcept;
  ~ArtifactStore();

  using Fill = std::function<void(const fs::path&)>;

  // The folder of the artefact, where it is there, whole and unaltered (by its files' digests). Else nothing: with a
  // warning for one that was damaged, which the next put() replaces.
  // Several threads may ask at once. Asks stop_if_interrupted() before each file.
  std::optional<fs::path> find(const std::string& kind, const Json& key);

  // The same for the holder of the artefact's claim: it sees what another machine published since it last looked.
  std::optional<fs::path> find_claimed(const std::string& kind, const Json& key);

  // None while another holds it.
  std::shared_ptr<Claim> claim(const std::string& kind, const Json& key);

  // Makes the artefact anew, under its claim: `fill` writes into the folder that it is given. When it throws, nothing
  // is left.
  fs::path put(const std::string& kind, const Json& key, const Fill& fill);

  // Found, or made under a claim; waits while another process makes it, and looks at first often, then every 10 s.
  fs::path get_or_make(const std::string& kind, const Json& key, const Fill& fill);

  fs::path path(const std::string& kind, const Json& key) const;

  // All that there are, by kind and name.
  std::vector<Artefact> artefacts() const;
  // What is wrong with it, every byte read; "" for a whole one. After that find() sees the damage too, though no file
  // looks otherwise from outside. Asks stop_if_interrupted() before each file.
  std::string damage_of(const Artefact& artefact) const;
  // Takes it out, under its claim; false where somebody makes it or has used it since it was listed.
  bool remove(const Artefact& artefact);

  std::set<std::string> used() const;  // names of the artefacts that were found, or made, through this object

  // From now on nothing is made: arrows add to `plan` what they would want, each unit once. It must outlive the store.
  void only_plan(std::vector<PlannedUnit>& plan) { plan_ = &plan; }
  bool planning() const { return plan_ != nullptr; }
  void plan(PlannedUnit unit);
  // The id of a unit "all" that is stored when all of these are.
  std::string plan_all(const std::vector<std::string>& ids);

  // What making so many rows took; `work` is what decides how long one takes. Kept in the store, of all runs together.
  void note_seconds(const std::string& kind, const Json& work, std::size_t rows, double seconds);
  double seconds_a_row(const std::string& kind, const Json& work) const;  // NaN: never made here

  // The SHA-256 of each file, which lies below `folder`; "" for one that cannot be read. They are kept in the store,
  // and taken again where a file's size, times or inode differ (see DigestRecord). Calls stop_if_interrupted() before
  // each.
  std::vector<std::string> digests_of(const std::vector<fs::path>& files, const fs::path& folder);

  std::size_t hits() const { return counts_->hits; }
  std::size_t misses() const { return counts_->misses; }
  const fs::path& root() const { return root_; }

 private:
  class Heart;
  void open_for_writing();
  void remove_left_over();
  fs::path temporary_of(const std::string& name) const;
  void publish(const fs::path& made, const fs::path& artefact);
  std::shared_ptr<Claim> claim_named(const std::string& name);
  void note_use(const fs::path& artefact);
  [[noreturn]] void fail(const fs::filesystem_error& error) const;
  fs::path root_;
  std::unique_ptr<Heart> heart_;
  std::vector<PlannedUnit>* plan_ = nullptr;
  std::set<std::string> planned_;  // ids
  struct Counts {
    std::atomic<std::size_t> hits = 0, misses = 0;
    std::once_flag opened;  // for writing
    std::mutex mutex;
    std::set<std::string> used;
  };
  std::unique_ptr<Counts> counts_ = std::make_unique<Counts>();
};

}  // namespace facepoison
