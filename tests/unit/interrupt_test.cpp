// Ctrl-C: once after this block, twice at once.
#include "facepoison/interrupt.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "support/support.hpp"

namespace facepoison::testing {
namespace {

// How a process ends that gets these signals and then comes to the end of a block: its exit status, or −1 where the
// signal itself ended it.
int status_after(const std::vector<int>& signals) {
  const pid_t child = fork();
  if (child == 0) {
    install_signal_handlers();
    for (const auto signal : signals) raise(signal);
    try {
      stop_if_interrupted();
    } catch (const Error& error) {
      _exit(static_cast<int>(error.code()) - 100);  // told apart from one that ends at once
    }
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Interrupt, StopsAfterThisBlockAndASecondTimeAtOnce) {
  EXPECT_EQ(status_after({}), 0);
  EXPECT_EQ(status_after({SIGINT}), 30);
  EXPECT_EQ(status_after({SIGTERM}), 43);
  EXPECT_EQ(status_after({SIGINT, SIGINT}), 130);
  EXPECT_EQ(status_after({SIGTERM, SIGTERM}), 143);
  EXPECT_EQ(status_after({SIGTERM, SIGINT}), 130);
}

}  // namespace
}  // namespace facepoison::testing
