// Shared by both versions of Fawkes.
#pragma once
#include "attacks/registry.hpp"
#include "facepoison/quantise.hpp"
#include "optim/adadelta.hpp"

namespace facepoison {

// Maps pictures x to w and back, x = tanh(w)/(2 − 1e-6) + ½, so that any w is a valid picture. At black and white tanh
// is flat, so these pixels hardly move.
torch::Tensor to_tanh(const torch::Tensor& pixels);
torch::Tensor from_tanh(const torch::Tensor& w);

// weight · max(DSSIM − threshold, 0)²: N.
torch::Tensor over_budget(const torch::Tensor& distance, double threshold, double weight);

}  // namespace facepoison
