// The exception type for all errors that a user can fix, with the exit code for each kind.
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

// Whether disk, memory or threads ran short, by errno or by what was thrown. The input is then not at fault.
bool is_shortage(int error);
bool is_shortage(const std::exception& error);

// Notes that the C library refused memory in this process; src/environment.cpp calls it. MKL then goes on without its
// buffers and reports nothing, but sums in another order, so that results have other last digits.
void note_shortage_of_memory() noexcept;

// Throws Error(Exit::resource) if memory was ever refused. Call it before results are kept.
void refuse_after_shortage_of_memory();

}  // namespace facepoison
