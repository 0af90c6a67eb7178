#include "facepoison/quantise.hpp"

namespace facepoison {

torch::Tensor rounded(const torch::Tensor& pixels) { return pixels.clamp(0, 1).mul(255).round().div(255); }

torch::Tensor truncated(const torch::Tensor& pixels) { return pixels.clamp(0, 1).mul(255).floor().div(255); }

}  // namespace facepoison
