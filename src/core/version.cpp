#include "facepoison/version.hpp"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/version.h>

#include <ctime>
#include <fstream>
#include <set>

#include "facepoison/error.hpp"
#include "facepoison/files.hpp"
#include "version_generated.hpp"

namespace facepoison {
namespace {

// What follows "KEY<blanks>:<blanks>" in the first line that begins with KEY; "" where no line does.
std::string value_of(const fs::path& file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(key)) continue;
    const auto start = line.find_first_not_of(" \t", line.find(':') + 1);
    return start == std::string::npos ? "" : line.substr(start);
  }
  return "";
}

// LibTorch tells a GPU's name only to programs built with CUDA's headers; the driver tells everybody.
std::string gpus() {
  std::set<std::string> names;
  std::error_code none;  // no such folder: no driver, or no Linux
  for (const auto& gpu : fs::directory_iterator("/proc/driver/nvidia/gpus", none))
    names.insert(value_of(gpu.path() / "information", "Model"));
  std::string all;
  for (const auto& name : names) all += (all.empty() ? "" : " or ") + name;
  return all.empty() ? "a GPU of unknown model" : all;
}

}  // namespace

std::string version() { return FACEPOISON_VERSION; }
std::string commit() { return FACEPOISON_COMMIT; }
std::string libtorch_version() { return TORCH_VERSION; }
Json arithmetic() { return {{"libtorch", libtorch_version()}, {"instructions", at::get_cpu_capability()}}; }

std::string machine(bool gpu) {
  if (gpu) return gpus();
  const auto model = value_of("/proc/cpuinfo", "model name");
  return concat(model.empty() ? "a CPU of unknown model" : model, ", ", at::get_num_threads(), " threads");
}

std::string utc_time() {
  const std::time_t now = std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&now));
  return text;
}

}  // namespace facepoison
