// A network file system for tests: changes the calls that such systems answer differently from a local disk.
#pragma once
#include <functional>

#include "facepoison/files.hpp"

namespace facepoison::testing {

enum class Locks {
  work,     // as on a local disk
  refused,  // flock() is an error, as on a mount without it
  granted   // flock() always succeeds, as if each machine had its own locks
};

// This program's files behave so during the object's life; one object at a time.
class NetworkFs {
 public:
  NetworkFs();
  NetworkFs(const NetworkFs&) = delete;
  ~NetworkFs();
  Locks locks = Locks::work;
  // Nothing at or below this path is found until its parent folder is opened, as with an outdated answer of a server.
  fs::path not_seen_yet;
  // Called once, before the rename with this number (the next one is 1): what another machine does meanwhile.
  int rename_number = 0;
  std::function<void()> before_rename;
};

}  // namespace facepoison::testing
