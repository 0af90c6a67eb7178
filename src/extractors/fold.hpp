// Prepares a network to be run by recognisers and attacks. After that it cannot be trained or cast.
#pragma once
#include <torch/script.h>

namespace facepoison {

// A frozen copy in which each BatchNorm is part of the convolution before it, or else a factor and a shift: PyTorch's
// own BatchNorm costs a quarter of an attack's time, as its gradient computes unneeded numbers. The results differ by
// rounding. `module` is in evaluation mode and float32, on its device; `precision` is what the copy computes in. Throws
// c10::Error for a module that cannot be frozen.
torch::jit::Module fold(const torch::jit::Module& module, const std::string& method, torch::ScalarType precision);

}  // namespace facepoison
