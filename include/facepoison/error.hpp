// The one exception type for what a user can fix, and the exit code that each kind of it gives.
#pragma once
#include <cerrno>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>

namespace facepoison {

enum class Exit {
  ok = 0,
  failure = 1,
  usage = 2,     // command line or config
  input = 3,     // photos, manifests, matrices
  model = 4,     // a model file, its hash or its card
  gate = 5,      // an --expect gate failed
  partial = 6,   // finished with failed parts
  resource = 7,  // disk or memory
  device = 8,    // no such device
  interrupted = 130,
  terminated = 143,
};

class Error : public std::runtime_error {
 public:
  Error(Exit code, const std::string& message) : std::runtime_error(message), code_(code) {}
  Exit code() const { return code_; }

 private:
  Exit code_;
};

// Did disk, memory or threads run short? Then nothing is wrong with what was read. By errno, or what was thrown.
inline bool is_shortage(int error) {
  return error == ENOSPC || error == EDQUOT || error == EFBIG || error == ENOMEM || error == EAGAIN;
}
inline bool is_shortage(const std::exception& error) {
  if (const auto* of_system = dynamic_cast<const std::system_error*>(&error))
    return is_shortage(of_system->code().value());
  if (dynamic_cast<const std::bad_alloc*>(&error)) return true;
  const auto what = std::string(error.what()) + "\n";  // LibTorch, oneDNN and OpenCV have their own words for it
  for (const auto* words : {"bad_alloc", "out of memory", "allocate memory", "Insufficient memory", "pthread_create",
                            "could not create a primitive\n"})
    if (what.find(words) != std::string::npos) return true;
  return false;
}

// Its arguments, printed one after the other: concat("found ", 3, " photos").
template <class... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

}  // namespace facepoison
