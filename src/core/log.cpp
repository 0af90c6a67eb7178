#include "facepoison/log.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace facepoison {
namespace {

// https://no-color.org: any non-empty value.
bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value && *value;
}

spdlog::logger& logger() {
  static const auto instance = [] {
    const bool plain = is_set("NO_COLOR");
    auto made =
        spdlog::stderr_color_mt("facepoison", plain ? spdlog::color_mode::never : spdlog::color_mode::automatic);
    made->set_pattern("%^%l%$: %v");
    return made;
  }();
  return *instance;
}

std::string duration(double seconds) {
  const long whole = static_cast<long>(seconds + 0.5);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

// Whether stderr can rewrite a line.
bool on_terminal() {
  static const bool terminal = [] {
    const char* kind = std::getenv("TERM");
    return isatty(STDERR_FILENO) != 0 && kind && std::string(kind) != "dumb";
  }();
  return terminal;
}

}  // namespace

void set_verbosity(Verbosity verbosity) {
  logger().set_level(verbosity == Verbosity::quiet     ? spdlog::level::warn
                     : verbosity == Verbosity::verbose ? spdlog::level::debug
                                                       : spdlog::level::info);
}

void log_debug(const std::string& message) { logger().debug("{}", message); }
void log_info(const std::string& message) { logger().info("{}", message); }
void log_warning(const std::string& message) { logger().warn("{}", message); }
void log_error(const std::string& message) { logger().error("{}", message); }

Progress::Progress(std::string label, std::size_t total, std::string unit)
    : label_(std::move(label)), unit_(std::move(unit)), total_(total), start_(Clock::now()), printed_(start_) {}

Progress::~Progress() {
  if (shown_ || Clock::now() - start_ > std::chrono::seconds(1)) print(true);
}

void Progress::advance(std::size_t count, bool cached) {
  done_ += count;
  if (cached) cached_ += count;
  const auto pause = on_terminal() ? std::chrono::milliseconds(200) : std::chrono::milliseconds(30000);
  if (Clock::now() - printed_ >= pause) print(false);
}

void Progress::print(bool last) {
  if (!logger().should_log(spdlog::level::info)) return;
  shown_ = true;
  printed_ = Clock::now();
  const double seconds = std::chrono::duration<double>(printed_ - start_).count();
  const double rate = seconds > 0 ? static_cast<double>(done_ - cached_) / seconds : 0;
  std::string line = fmt::format("{}: {}/{} {} ({} cached), {:.3g}/s", label_, done_, total_, unit_, cached_, rate);
  line += last       ? ", took " + duration(seconds)
          : rate > 0 ? ", " + duration(static_cast<double>(total_ - done_) / rate) + " left"
                     : "";
  if (on_terminal())
    std::fprintf(stderr, "\r\033[K%s%s", line.c_str(), last ? "\n" : "");
  else
    log_info(line);
}

}  // namespace facepoison
