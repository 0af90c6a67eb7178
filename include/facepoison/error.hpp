// The one exception type for what a user can fix, and the exit code that each kind of it gives.
#pragma once
#include <stdexcept>
#include <string>

#include "facepoison/text.hpp"

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
bool is_shortage(int error);
bool is_shortage(const std::exception& error);

// The C library refused memory to somebody in this process; src/environment.cpp notes it. MKL goes on without its
// buffers then and says nothing, but adds in another order, so that results have other last digits.
void note_shortage_of_memory() noexcept;

// Throws Error(Exit::resource) if memory was ever refused. Whoever keeps results asks before.
void refuse_after_shortage_of_memory();

}  // namespace facepoison
