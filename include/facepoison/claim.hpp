// Claims: which process makes an artefact, when several processes and machines share a store.
#pragma once
#include <condition_variable>
#include <ctime>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "facepoison/files.hpp"

namespace facepoison {

constexpr std::time_t claim_lifetime = 60;  // seconds without renewal after which another machine's claim has ended

// The time of a folder's file system, the same for all machines that mount it; none if nothing can be written there.
std::optional<std::time_t> time_in(const fs::path& folder);

// The right to make an artefact: a file that its holder keeps locked; the holder renews its mtime every few seconds. A
// claim has no holder if the lock is free (the kernel frees it when a process dies, in any container), or if the file
// is another machine's and was not renewed for claim_lifetime. Then the next process takes it over. The claim ends with
// the object.
class Claim {
 public:
  // Makes the file, or takes over one without a holder; none if the holder lives. Throws fs::filesystem_error.
  static std::shared_ptr<Claim> take(const fs::path& path);

  // `token`: the file's content, unique for each claim.
  Claim(fs::path path, int file, std::string token);
  Claim(const Claim&) = delete;
  ~Claim();
  void renew() const;
  const fs::path& path() const { return path_; }

 private:
  bool is_held() const;  // false if another machine took it over
  fs::path path_;
  int file_;
  std::string token_;
};

// Renews claims in a thread of its own, as long as they live.
class ClaimHeartbeat {
 public:
  void keep(const std::shared_ptr<Claim>& claim);  // any thread

 private:
  void beat(const std::stop_token& stop);
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::vector<std::weak_ptr<Claim>> claims_;
  std::jthread thread_;  // last: it ends before what it uses
};

}  // namespace facepoison
