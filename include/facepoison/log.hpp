// Messages and progress on stderr; stdout is for results. spdlog stays behind this header, because its fmt and
// LibTorch's cannot be included in one file.
#pragma once
#include <chrono>
#include <cstddef>
#include <string>

namespace facepoison {

enum class Verbosity { quiet, normal, verbose };
void set_verbosity(Verbosity verbosity);

void log_debug(const std::string& message);
void log_info(const std::string& message);
void log_warning(const std::string& message);
void log_error(const std::string& message);

// Rate and time left: a line that rewrites itself on a terminal, else a line every 30 seconds and one at the end.
// Silent when the work ends within a second.
class Progress {
 public:
  Progress(std::string label, std::size_t total, std::string unit = "photos");
  ~Progress();
  // `cached` work counts as done, but not for the rate, which gives the time left.
  void advance(std::size_t count, bool cached = false);

 private:
  void print(bool last);
  using Clock = std::chrono::steady_clock;
  std::string label_, unit_;
  std::size_t total_, done_ = 0, cached_ = 0;
  Clock::time_point start_, printed_;
  bool shown_ = false;
};

}  // namespace facepoison
