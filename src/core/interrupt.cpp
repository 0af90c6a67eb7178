#include "facepoison/interrupt.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <thread>

#include "facepoison/error.hpp"

namespace facepoison {
namespace {

// Read by every thread, and written by a handler, which may only use lock-free atomics.
std::atomic<int> pending = 0;
static_assert(std::atomic<int>::is_always_lock_free);

void remember(int signal) {
  if (pending.exchange(signal) != 0) _exit(128 + signal);  // what is written is whole or has no name yet
  constexpr char message[] = "\nstopping after this block of work; a second signal stops at once\n";
  [[maybe_unused]] const auto written = write(STDERR_FILENO, message, sizeof message - 1);
}

}  // namespace

void install_signal_handlers() {
  std::signal(SIGINT, remember);
  std::signal(SIGTERM, remember);
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is an error of the write
  std::signal(SIGXFSZ, SIG_IGN);  // likewise a file size limit
}

void stop_if_interrupted() {
  if (pending == SIGINT) throw Error(Exit::interrupted, "interrupted; the same command continues from here");
  if (pending == SIGTERM) throw Error(Exit::terminated, "terminated; the same command continues from here");
}

void Pauses::wait() {
  for (auto left = next_; left.count() > 0; left -= shortest) {
    stop_if_interrupted();
    std::this_thread::sleep_for(std::min(left, shortest));
  }
  stop_if_interrupted();
  next_ = std::min(2 * next_, longest);
}

}  // namespace facepoison
