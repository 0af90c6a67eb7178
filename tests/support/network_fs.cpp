// Redefines functions of the C library; each calls the original. The linker takes these definitions for the whole test
// program, and for the <filesystem> of libstdc++ and of LibTorch (its copy is built for an older
// glibc).
#include "support/network_fs.hpp"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdarg>
#include <string_view>
#include <utility>

namespace facepoison::testing {
namespace {

NetworkFs* mounted = nullptr;

template <class Function>
Function* original(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

bool is_hidden(std::string_view path) {
  if (!mounted || mounted->not_seen_yet.empty()) return false;
  const auto& hidden = mounted->not_seen_yet.native();
  return path.starts_with(hidden) && (path.size() == hidden.size() || path[hidden.size()] == '/');
}

void note_opened(const char* folder) {
  if (mounted && mounted->not_seen_yet.parent_path() == folder) mounted->not_seen_yet.clear();
}

}  // namespace

NetworkFs::NetworkFs() { mounted = this; }
NetworkFs::~NetworkFs() { mounted = nullptr; }

}  // namespace facepoison::testing

using facepoison::testing::is_hidden;
using facepoison::testing::Locks;
using facepoison::testing::mounted;
using facepoison::testing::note_opened;
using facepoison::testing::original;

extern "C" {

int flock(int file, int operation) noexcept {
  if (mounted && mounted->locks == Locks::granted) return 0;
  if (mounted && mounted->locks == Locks::refused) {
    errno = ENOLCK;
    return -1;
  }
  static auto* const real = original<int(int, int)>("flock");
  return real(file, operation);
}

int stat(const char* path, struct stat* found) noexcept {
  if (is_hidden(path)) {
    errno = ENOENT;
    return -1;
  }
  static auto* const real = original<int(const char*, struct stat*)>("stat");
  return real(path, found);
}

int __xstat(int, const char* path, struct stat* found) noexcept { return stat(path, found); }

DIR* opendir(const char* path) {
  note_opened(path);
  static auto* const real = original<DIR*(const char*)>("opendir");
  return real(path);
}

int openat(int folder, const char* path, int flags, ...) {
  std::va_list rest;
  va_start(rest, flags);
  const auto mode = (flags & O_CREAT) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  note_opened(path);
  static auto* const real = original<int(int, const char*, int, ...)>("openat");
  return real(folder, path, flags, mode);
}

int rename(const char* from, const char* to) noexcept {
  if (mounted && mounted->rename_number > 0 && --mounted->rename_number == 0)
    std::exchange(mounted->before_rename, nullptr)();
  static auto* const real = original<int(const char*, const char*)>("rename");
  return real(from, to);
}
}
