#include "optim/adadelta.hpp"

namespace facepoison {

torch::Tensor Adadelta::step(const torch::Tensor& gradient, double epsilon) {
  constexpr double rho = 0.95;
  squares = rho * squares + (1 - rho) * gradient.square();
  const auto move = (moves + epsilon).sqrt() / (squares + epsilon).sqrt() * gradient;
  moves = rho * moves + (1 - rho) * move.square();
  return move;
}

}  // namespace facepoison
