#include "attacks/fawkes.hpp"

namespace facepoison {
namespace {

constexpr double tanh_constant = 2 - 1e-6;  // keeps atanh finite at black and white

}  // namespace

torch::Tensor to_tanh(const torch::Tensor& pixels) { return ((pixels - 0.5) * tanh_constant).atanh(); }
torch::Tensor from_tanh(const torch::Tensor& w) { return w.tanh() / tanh_constant + 0.5; }

torch::Tensor over_budget(const torch::Tensor& distance, double threshold, double weight) {
  return weight * (distance - threshold).clamp_min(0).square();
}

}  // namespace facepoison
