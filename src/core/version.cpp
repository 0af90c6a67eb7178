#include "facepoison/version.hpp"

#include <torch/version.h>

#include <ctime>

#include "version_generated.hpp"

namespace facepoison {

std::string version() { return FACEPOISON_VERSION; }
std::string commit() { return FACEPOISON_COMMIT; }
std::string libtorch_version() { return TORCH_VERSION; }

std::string utc_time() {
  const std::time_t now = std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&now));
  return text;
}

}  // namespace facepoison
