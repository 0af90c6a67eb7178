#include "facepoison/files.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <mutex>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "facepoison/error.hpp"

namespace facepoison {
namespace {

[[noreturn]] void fail_write(const fs::path& path) {
  const int error = errno;
  throw Error(is_shortage(error) ? Exit::resource : Exit::failure,
              concat("cannot write ", path.string(), ": ", std::strerror(error)));
}

struct Descriptor {
  int number;
  explicit Descriptor(int opened) : number(opened) {}
  Descriptor(const Descriptor&) = delete;
  ~Descriptor() { close(); }
  bool close() { return number < 0 || ::close(std::exchange(number, -1)) == 0; }
};

bool write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(file, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

// Reads up to `most` bytes, fewer only at the end of the file.
std::size_t read_all(int file, char* bytes, std::size_t most, const fs::path& path) {
  std::size_t count = 0;
  while (count < most) {
    const ssize_t got = read(file, bytes + count, most - count);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error(Exit::input, concat("cannot read ", path.string(), ": ", std::strerror(errno)));
    if (got == 0) break;
    count += static_cast<std::size_t>(got);
  }
  return count;
}

fs::path folder_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

// The path at the end of a chain of links, even if no file is there.
fs::path behind_links(fs::path path) {
  std::error_code error;
  for (int links = 0; links < 40 && fs::is_symlink(fs::symlink_status(path, error)); ++links) {
    const auto next = fs::read_symlink(path, error);
    path = next.is_absolute() ? next : path.parent_path() / next;
  }
  return path;
}

bool is_temporary(const fs::path& path) {
  const auto name = path.filename().string();
  return name.size() == std::strlen(".tmp-") + 16 && name.starts_with(".tmp-");
}

// A new file beside `path`, locked while it is written, so that others do not remove it as a left-over.
int open_temporary(const fs::path& path, fs::path& name) {
  for (;;) {
    name = temporary_name(folder_of(path));
    const int file = open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file < 0) fail_write(path);
    struct stat found{};
    const bool swept = flock(file, LOCK_EX) == 0 && fstat(file, &found) == 0 && found.st_nlink == 0;
    if (!swept) return file;
    close(file);  // another process removed it before it was locked
  }
}

// Replaces `path` by a new file that `fill` writes beside it. `fill` returns whether it succeeded.
void replace(const fs::path& path, const std::function<bool(int)>& fill) {
  std::error_code no_folder;
  fs::create_directories(folder_of(path), no_folder);
  if (no_folder) {  // reported here: open() would report only a missing folder
    errno = no_folder.value();
    fail_write(path);
  }
  remove_left_over(folder_of(path));
  fs::path temporary;
  const auto give_up = [&] {
    const int error = errno;
    unlink(temporary.c_str());
    errno = error;
  };
  try {
    Descriptor file(open_temporary(path, temporary));
    const Descriptor locked(dup(file.number));  // keeps the lock until the file has its name
    const bool is_written =
        locked.number >= 0 && fill(file.number) && file.close();  // close() may be the first to report a full disk
    if (is_written && rename(temporary.c_str(), path.c_str()) == 0) return;
  } catch (...) {
    give_up();
    throw;
  }
  give_up();
  fail_write(path);
}

// Flushes a file's or a folder's data to the disk.
void sync_to_disk(const fs::path& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) fail_write(path);
  const bool failed = fsync(file) != 0 && errno != EINVAL;  // some file systems cannot sync a folder
  const int error = errno;
  close(file);
  errno = error;
  if (failed) fail_write(path);
}

}  // namespace

std::string read_file(const fs::path& path, std::size_t max_bytes) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat found{};
  if (file.number < 0 || fstat(file.number, &found) != 0 || S_ISDIR(found.st_mode)) {
    std::error_code unknown;
    throw Error(Exit::input, concat("cannot read ", path.string(), ": ",
                                    fs::exists(path, unknown) ? "not a readable file" : "no such file"));
  }
  const auto too_large = [&](std::size_t size) {
    return Error(Exit::input, concat(path.string(), " has ", size, " bytes; at most ", max_bytes, " are read"));
  };
  const auto size = static_cast<std::size_t>(found.st_size);  // 0 for a pipe
  if (size > max_bytes) throw too_large(size);
  std::string bytes(size, '\0');
  std::size_t count = read_all(file.number, bytes.data(), size, path);
  if (count < size) throw Error(Exit::input, concat("cannot read all of ", path.string()));
  if (S_ISREG(found.st_mode) && size > 0) return bytes;
  constexpr std::size_t part = 1 << 16;
  for (std::size_t more = part; more == part;) {  // a pipe, or a file of the kernel's, which has no size
    bytes.resize(count + part);
    more = read_all(file.number, bytes.data() + count, part, path);
    count += more;
    if (count > max_bytes) throw too_large(count);
  }
  bytes.resize(count);
  return bytes;
}

void read_in_parts(const fs::path& path, const std::function<void(std::string_view)>& take) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.number < 0) throw Error(Exit::input, concat("cannot read ", path.string(), ": ", std::strerror(errno)));
  std::string buffer(1 << 20, '\0');
  for (std::size_t count; (count = read_all(file.number, buffer.data(), buffer.size(), path)) > 0;)
    take({buffer.data(), count});
}

int unlinked_temporary(const fs::path& folder) {
  fs::create_directories(folder);
  const fs::path name = temporary_name(folder);
  const int file = open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) fail_write(name);
  unlink(name.c_str());
  return file;
}

void write_to(int file, std::string_view bytes, const fs::path& path) {
  if (!write_all(file, bytes)) fail_write(path);
}

void remove_left_over(const fs::path& folder) {
  static std::mutex mutex;
  static std::set<fs::path> known;
  {
    const std::lock_guard lock(mutex);
    if (!known.insert(fs::absolute(folder)).second) return;
  }
  std::error_code none;
  std::vector<fs::path> names;
  for (const auto& entry : fs::directory_iterator(folder, none))
    if (is_temporary(entry.path()) && entry.symlink_status(none).type() == fs::file_type::regular)
      names.push_back(entry.path());
  for (const auto& name : names) {
    const Descriptor file(open(name.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
    if (file.number >= 0 && flock(file.number, LOCK_EX | LOCK_NB) == 0) unlink(name.c_str());
  }
}

fs::path temporary_name(const fs::path& folder) {
  static thread_local std::random_device source;
  char name[32];
  std::snprintf(name, sizeof name, ".tmp-%08x%08x", source(), source());
  return folder / name;
}

bool is_below(const fs::path& path, const fs::path& root) {
  std::error_code error;
  const auto target = fs::weakly_canonical(path, error);
  if (error) return false;
  const auto relative = target.lexically_relative(fs::weakly_canonical(root, error));
  return !error && !relative.empty() && *relative.begin() != "..";
}

void write_file(const fs::path& path, std::string_view bytes) {
  std::error_code error;
  if (const auto status = fs::status(path, error);
      fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status)) {
    const Descriptor file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (file.number < 0 || !write_all(file.number, bytes)) fail_write(path);
    return;
  }
  const fs::path target = behind_links(path);
  replace(target, [&](int file) { return write_all(file, bytes) && fsync(file) == 0; });
  sync_to_disk(folder_of(target));
}

void check_writable(const fs::path& path) {
  struct stat found{};
  const bool there = stat(path.c_str(), &found) == 0;
  if (!there && errno != ENOENT) fail_write(path);
  if (there && S_ISDIR(found.st_mode)) {
    errno = EISDIR;
    fail_write(path);
  }
  if (there && !S_ISREG(found.st_mode)) {  // a device or a FIFO
    if (faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) != 0) fail_write(path);
    return;
  }
  fs::path folder = fs::absolute(behind_links(path)).parent_path();
  while (stat(folder.c_str(), &found) != 0 && folder.has_relative_path()) folder = folder.parent_path();
  const fs::path temporary = temporary_name(folder);
  const Descriptor file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (file.number < 0) fail_write(path);
  unlink(temporary.c_str());
}

void write_unflushed(const fs::path& path, std::string_view bytes) {
  replace(path, [&](int file) { return write_all(file, bytes); });
}

void copy_to(const fs::path& from, const fs::path& to, bool flush) {
  const Descriptor source(open(from.c_str(), O_RDONLY | O_CLOEXEC));
  if (source.number < 0) throw Error(Exit::input, concat("cannot read ", from.string(), ": ", std::strerror(errno)));
  replace(to, [&](int file) {
    if (ioctl(file, FICLONE, source.number) != 0) {
      std::string buffer(1 << 18, '\0');
      for (std::size_t count; (count = read_all(source.number, buffer.data(), buffer.size(), from)) > 0;)
        if (!write_all(file, {buffer.data(), count})) return false;
    }
    return !flush || fsync(file) == 0;
  });
  if (flush) sync_to_disk(folder_of(to));
}

}  // namespace facepoison
