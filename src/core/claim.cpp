#include "facepoison/claim.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "facepoison/error.hpp"

namespace facepoison {
namespace {

constexpr std::chrono::milliseconds heartbeat{10000};

// This machine since its last start, the same in all its containers.
const std::string& this_boot() {
  static const std::string id = [] {
    std::string line = "unknown";
    std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), line);
    return line;
  }();
  return id;
}

std::string text_of(int file) {
  char text[128] = {};
  const auto count = pread(file, text, sizeof text, 0);
  return {text, count > 0 ? static_cast<std::size_t>(count) : 0};
}

bool is_old(int file, const fs::path& folder) {
  const auto now = time_in(folder);
  struct stat then{};
  return now && fstat(file, &then) == 0 && *now - then.st_mtime > claim_lifetime;
}

// Whether the path still names the open file.
bool is_at(const fs::path& path, int file) {
  struct stat named{}, opened{};
  return stat(path.c_str(), &named) == 0 && fstat(file, &opened) == 0 && named.st_ino == opened.st_ino &&
         named.st_dev == opened.st_dev;
}

}  // namespace

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

std::shared_ptr<Claim> Claim::take(const fs::path& path) {
  for (;;) {
    int file = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file >= 0) {
      flock(file, LOCK_EX);
    } else {
      if (errno != EEXIST) throw fs::filesystem_error("cannot make", path, {errno, std::system_category()});
      file = open(path.c_str(), O_RDWR | O_CLOEXEC);
      if (file < 0 && errno == ENOENT) continue;  // it has just ended
      if (file < 0) throw fs::filesystem_error("cannot open", path, {errno, std::system_category()});
      const bool locked = flock(file, LOCK_EX | LOCK_NB) == 0, locks_work = locked || errno == EWOULDBLOCK;
      if (!is_at(path, file)) {
        close(file);
        continue;
      }
      const bool of_this_machine = locks_work && text_of(file).starts_with(this_boot());
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

Claim::Claim(fs::path path, int file, std::string token)
    : path_(std::move(path)), file_(file), token_(std::move(token)) {}

Claim::~Claim() {
  if (is_held()) unlink(path_.c_str());  // while it is locked, so that no new claim is removed
  close(file_);
}

bool Claim::is_held() const { return is_at(path_, file_) && text_of(file_) == token_; }

void Claim::renew() const {
  if (is_held()) futimens(file_, nullptr);
}

void ClaimHeartbeat::keep(const std::shared_ptr<Claim>& claim) {
  const std::lock_guard lock(mutex_);
  std::erase_if(claims_, [](const auto& one) { return one.expired(); });
  claims_.push_back(claim);
  if (!thread_.joinable()) thread_ = std::jthread([this](const std::stop_token& stop) { beat(stop); });
}

void ClaimHeartbeat::beat(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, stop, heartbeat, [&] { return stop.stop_requested(); }))
    for (const auto& claim : claims_)
      if (const auto living = claim.lock()) living->renew();
}

}  // namespace facepoison
