// Adadelta (Zeiler, 2012), for attacks and trainings.
#pragma once
#include <torch/script.h>

namespace facepoison {

// The state of Adadelta for one tensor, as in TensorFlow and Keras, ρ = .95.
struct Adadelta {
  torch::Tensor squares, moves;  // running means of squared gradients and squared moves, shaped like the tensor
  explicit Adadelta(const torch::Tensor& like) : squares(torch::zeros_like(like)), moves(torch::zeros_like(like)) {}
  // The move for a rate of 1, to be subtracted.
  torch::Tensor step(const torch::Tensor& gradient, double epsilon);
};

}  // namespace facepoison
