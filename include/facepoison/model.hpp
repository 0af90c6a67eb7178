// TorchScript files: a model is code, so it runs only when its hash is known or the user says that it is trusted.
#pragma once
#include <torch/script.h>

#include "facepoison/home.hpp"

namespace facepoison {

// The source of a model file's known hash.
enum class PinnedBy {
  card,
  conversion,  // NAME.json beside it
  nobody       // then the user trusts it
};

struct ModelFile {
  fs::path path;
  std::string sha256;  // of the file as it is
  PinnedBy pinned_by = PinnedBy::nobody;
};

// Checks that model_path() is there, is not an HTML page, and has the hash that its card names (`expected`) or, if the
// card names none, the hash that its conversion wrote to models/<stem>.json. `trust` accepts a file without a known
// hash, but never one with a wrong hash. Throws Error(model) saying why and what to do; `how_to_get` is the command
// that makes the file.
ModelFile verify_model(const std::string& file, const fs::path& card_folder, const std::string& expected, bool trust,
                       const std::string& how_to_get = "");

// Reads the file, checks that its bytes are still those that were verified, and loads these bytes: in evaluation mode,
// weights channels_last and, for bf16, cast; parameters need no gradient. Callers of the module turn graph optimisation
// off (a GraphOptimizerEnabledGuard, for each thread), so that the first call gives the same bits as later ones. Throws
// Error(model).
torch::jit::Module load_model(const ModelFile& file, torch::Device device,
                              torch::ScalarType precision = torch::kFloat32);

}  // namespace facepoison
