// A network file system for tests: the calls that such systems answer differently from a local disk.
#pragma once
#include <functional>

#include "facepoison/files.hpp"

namespace facepoison::testing {

enum class Locks {
  work,     // as on a local disk
  refused,  // flock() is an error, as on a mount without it
  granted   // flock() succeeds for everybody, as where locks are each machine's own
};

// This program's files behave so as long as the object lives; one at a time.
class NetworkFs {
 public:
  NetworkFs();
  NetworkFs(const NetworkFs&) = delete;
  ~NetworkFs();
  Locks locks = Locks::work;
  // Nothing at or below this path is found until the folder that holds it is opened: an answer of before it was there.
  fs::path not_seen_yet;
  // Called once, before the rename with this number from now on, the next being 1: what another machine does meanwhile.
  int rename_number = 0;
  std::function<void()> before_rename;
};

}  // namespace facepoison::testing
