// Ctrl-C and SIGTERM stop the program between two blocks of work, when everything done so far is on disk.
#pragma once
#include <chrono>

namespace facepoison {

// Installs the handlers; a second signal, of either kind, ends the process at once, with its exit code.
void install_signal_handlers();

// Throws Error(interrupted) or Error(terminated) after a signal. Call it between blocks of work.
void stop_if_interrupted();

// Pauses between checks of another process's work: short ones first, then up to 10 s.
class Pauses {
 public:
  bool is_first() const { return next_ == shortest; }
  void wait();  // ends early, with an Error, after a signal
  void start_again() { next_ = shortest; }

 private:
  static constexpr std::chrono::milliseconds shortest{100}, longest{10000};
  std::chrono::milliseconds next_ = shortest;
};

}  // namespace facepoison
