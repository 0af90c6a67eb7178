#include "facepoison/error.hpp"

#include <atomic>
#include <cerrno>
#include <new>
#include <system_error>

namespace facepoison {
namespace {

constinit std::atomic<bool> memory_was_short = false;

}  // namespace

void note_shortage_of_memory() noexcept { memory_was_short = true; }

void refuse_after_shortage_of_memory() {
  if (memory_was_short) throw Error(Exit::resource, "out of memory");
}

bool is_shortage(int error) {
  return error == ENOSPC || error == EDQUOT || error == EFBIG || error == ENOMEM || error == EAGAIN;
}

bool is_shortage(const std::exception& error) {
  if (const auto* of_system = dynamic_cast<const std::system_error*>(&error))
    return is_shortage(of_system->code().value());
  if (dynamic_cast<const std::bad_alloc*>(&error)) return true;
  const auto what = std::string(error.what()) + "\n";  // LibTorch, oneDNN and OpenCV have their own words for it
  for (const auto* words : {"bad_alloc", "out of memory", "allocate memory", "Insufficient memory", "pthread_create",
                            "could not create a primitive\n"})
    if (what.find(words) != std::string::npos) return true;
  return false;
}

}  // namespace facepoison
