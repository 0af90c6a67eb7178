// The optimisers that a training may name.
#pragma once
#include <torch/optim/optimizer.h>

#include <memory>
#include <string>
#include <vector>

#include "facepoison/spec.hpp"

namespace facepoison {

struct OptimiserSettings {
  std::string kind;  // "adamw", "sgd", "adadelta"
  double rate = 0, weight_decay = 0, momentum = 0;
  // Reads "optimiser", "rate", "weight_decay" and, of sgd, "momentum"; the rate's default is the optimiser's. Throws
  // Error(usage).
  static OptimiserSettings from(Spec& spec);
};

// AdamW and SGD are LibTorch's; Adadelta has Keras's constants. `decayed` parameters are pulled towards 0 by the weight
// decay, `free` ones are not.
std::unique_ptr<torch::optim::Optimizer> make_optimiser(const OptimiserSettings& settings,
                                                        const std::vector<torch::Tensor>& decayed,
                                                        const std::vector<torch::Tensor>& free);

}  // namespace facepoison
