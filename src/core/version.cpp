#include "facepoison/version.hpp"

#include <torch/version.h>

#include "version_generated.hpp"

namespace facepoison {

std::string version() { return FACEPOISON_VERSION; }
std::string commit() { return FACEPOISON_COMMIT; }
std::string libtorch_version() { return TORCH_VERSION; }

}  // namespace facepoison
