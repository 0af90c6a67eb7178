// The optimisers that a training may name.
#pragma once
#include <torch/optim/optimizer.h>

#include "facepoison/training.hpp"

namespace facepoison {

// `decayed` parameters are pulled towards 0 by the weight decay, `free` ones are not.
std::unique_ptr<torch::optim::Optimizer> make_optimiser(const OptimiserSettings& settings,
                                                        const std::vector<torch::Tensor>& decayed,
                                                        const std::vector<torch::Tensor>& free);

}  // namespace facepoison
