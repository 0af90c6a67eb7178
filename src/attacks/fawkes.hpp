// What both versions of Fawkes share.
#pragma once
#include "attacks/registry.hpp"

namespace facepoison {

// Pictures as x = tanh(w)/(2 − 1e-6) + ½, so that any w is one. A black or white pixel lies where tanh is flat, and
// hardly moves.
torch::Tensor to_tanh(const torch::Tensor& pixels);
torch::Tensor from_tanh(const torch::Tensor& w);

// Zeiler 2012, as TensorFlow and Keras have it, ρ = .95. step() is the move for a rate of 1, to be subtracted.
struct Adadelta {
  torch::Tensor squares, moves;
  explicit Adadelta(const torch::Tensor& like) : squares(torch::zeros_like(like)), moves(torch::zeros_like(like)) {}
  torch::Tensor step(const torch::Tensor& gradient, double epsilon);
};

// weight · max(DSSIM − threshold, 0)²: N.
torch::Tensor over_budget(const torch::Tensor& distance, double threshold, double weight);

}  // namespace facepoison
