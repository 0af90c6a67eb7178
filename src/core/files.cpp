#include "facepoison/files.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>

#include "facepoison/error.hpp"

namespace facepoison {
namespace {

[[noreturn]] void fail_write(const fs::path& path) {
  const int error = errno;
  const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  throw Error(full ? Exit::resource : Exit::failure, concat("cannot write ", path.string(), ": ", std::strerror(error)));
}

std::string hex_digest(const EVP_MD* algorithm, const std::function<bool(EVP_MD_CTX*)>& feed) {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_DigestInit_ex(context.get(), algorithm, nullptr);
  if (!feed(context.get())) return "";
  EVP_DigestFinal_ex(context.get(), digest, &size);
  std::string hex;
  for (unsigned i = 0; i < size; ++i) {
    hex += "0123456789abcdef"[digest[i] >> 4];
    hex += "0123456789abcdef"[digest[i] & 15];
  }
  return hex;
}

std::string digest_of(const EVP_MD* algorithm, std::string_view bytes) {
  return hex_digest(algorithm, [&](EVP_MD_CTX* context) { return EVP_DigestUpdate(context, bytes.data(), bytes.size()) == 1; });
}

}  // namespace

std::string read_file(const fs::path& path, std::size_t max_bytes) {
  std::ifstream in(path, std::ios::binary);
  if (!in || fs::is_directory(path))
    throw Error(Exit::input, concat("cannot read ", path.string(), ": ", fs::exists(path) ? "not a readable file" : "no such file"));
  const auto size = fs::file_size(path);
  if (size > max_bytes)
    throw Error(Exit::input, concat(path.string(), " has ", size, " bytes; at most ", max_bytes, " are read"));
  std::string bytes(size, '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(size));
  if (static_cast<std::uintmax_t>(in.gcount()) != size) throw Error(Exit::input, concat("cannot read all of ", path.string()));
  return bytes;
}

fs::path temporary_name(const fs::path& folder) {
  static std::atomic<unsigned> count{0};
  char host[64] = "host";
  gethostname(host, sizeof host - 1);
  return folder / concat(".tmp-", host, "-", getpid(), "-", count++);
}

bool is_below(const fs::path& path, const fs::path& root) {
  std::error_code error;
  const auto target = fs::weakly_canonical(path, error);
  if (error) return false;
  const auto relative = target.lexically_relative(fs::weakly_canonical(root, error));
  return !error && !relative.empty() && *relative.begin() != "..";
}

void sync_to_disk(const fs::path& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) fail_write(path);
  const bool failed = fsync(file) != 0 && errno != EINVAL;  // some file systems cannot sync a folder
  const int error = errno;
  close(file);
  errno = error;
  if (failed) fail_write(path);
}

void write_file(const fs::path& path, std::string_view bytes) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  std::error_code error;
  fs::create_directories(folder, error);
  const fs::path temporary = temporary_name(folder);
  const int file = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) fail_write(path);
  auto give_up = [&] {
    const int saved = errno;
    close(file);
    unlink(temporary.c_str());
    errno = saved;
    fail_write(path);
  };
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t count = write(file, bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) give_up();
    done += static_cast<std::size_t>(count);
  }
  if (fsync(file) != 0) give_up();
  if (close(file) != 0 || rename(temporary.c_str(), path.c_str()) != 0) {
    const int saved = errno;
    unlink(temporary.c_str());
    errno = saved;
    fail_write(path);
  }
  sync_to_disk(folder);
}

void link_or_copy(const fs::path& from, const fs::path& to) {
  if (to.has_parent_path()) fs::create_directories(to.parent_path());
  const fs::path temporary = temporary_name(to.has_parent_path() ? to.parent_path() : fs::path("."));
  std::error_code error;
  fs::create_hard_link(from, temporary, error);
  if (error) fs::copy_file(from, temporary, error);
  if (!error) fs::rename(temporary, to, error);
  // rename() does nothing when both names are one file already, and leaves the temporary one.
  fs::remove(temporary);
  if (error) {
    errno = error.value();
    fail_write(to);
  }
}

std::string sha256(std::string_view bytes) { return digest_of(EVP_sha256(), bytes); }
std::string sha1(std::string_view bytes) { return digest_of(EVP_sha1(), bytes); }

std::string sha256_of_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in || fs::is_directory(path)) throw Error(Exit::input, concat("cannot read ", path.string()));
  std::string buffer(1 << 20, '\0');
  return hex_digest(EVP_sha256(), [&](EVP_MD_CTX* context) {
    while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || in.gcount() > 0)
      EVP_DigestUpdate(context, buffer.data(), static_cast<std::size_t>(in.gcount()));
    return true;
  });
}

}  // namespace facepoison
