// What both versions of Fawkes share.
#pragma once
#include "attacks/registry.hpp"
#include "facepoison/quantise.hpp"
#include "optim/adadelta.hpp"

namespace facepoison {

// Pictures as x = tanh(w)/(2 − 1e-6) + ½, so that any w is one. A black or white pixel lies where tanh is flat, and
// hardly moves.
torch::Tensor to_tanh(const torch::Tensor& pixels);
torch::Tensor from_tanh(const torch::Tensor& w);

// weight · max(DSSIM − threshold, 0)²: N.
torch::Tensor over_budget(const torch::Tensor& distance, double threshold, double weight);

}  // namespace facepoison
