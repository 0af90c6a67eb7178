#include "attacks/hull.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <functional>

namespace facepoison {
namespace {

torch::Tensor in_double(const torch::Tensor& matrix) { return matrix.to(torch::kCPU, torch::kFloat64).contiguous(); }

// Minimises cᵀGc/2 − hᵀc over the simplex by projected gradient. `gram` is G, k×k; `step` at most 1 over its largest
// eigenvalue.
std::vector<double> simplex_minimum(const double* gram, const double* h, std::size_t k, double step) {
  constexpr int most = 2000;
  constexpr double still = 1e-10;
  std::vector<double> weights(k, 1 / static_cast<double>(k)), moved(k);
  for (int i = 0; i < most; ++i) {
    for (std::size_t row = 0; row < k; ++row) {
      double slope = -h[row];
      for (std::size_t column = 0; column < k; ++column) slope += gram[row * k + column] * weights[column];
      moved[row] = weights[row] - step * slope;
    }
    moved = onto_simplex(moved);
    double change = 0;
    for (std::size_t row = 0; row < k; ++row) change = std::max(change, std::abs(moved[row] - weights[row]));
    weights = moved;
    if (change < still) break;
  }
  return weights;
}

}  // namespace

std::vector<double> onto_simplex(const std::vector<double>& numbers) {
  auto sorted = numbers;
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  // All numbers fall by the same amount, and those below 0 become 0: as many stay as can.
  double sum = 0, fall = 0;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    sum += sorted[i];
    if (const double one = (sum - 1) / static_cast<double>(i + 1); sorted[i] > one) fall = one;
  }
  auto result = numbers;
  for (auto& number : result) number = std::max(number - fall, 0.0);
  return result;
}

torch::Tensor affine_weights(const torch::Tensor& vectors, const torch::Tensor& points) {
  const auto all = in_double(vectors), centre = all.mean(0, true), spread = all - centre;
  // The rows of `spread` sum to 0, and so do the weights that the pseudo-inverse gives.
  const auto inverse = at::linalg_pinv(spread.matmul(spread.t()), /*rcond*/ 1e-10, /*hermitian*/ true);
  const auto weights = (in_double(points) - centre).matmul(spread.t()).matmul(inverse);
  return (weights + 1.0 / static_cast<double>(all.size(0))).to(vectors.options());
}

torch::Tensor convex_weights(const torch::Tensor& vectors, const torch::Tensor& points) {
  const auto all = in_double(vectors), gram = all.matmul(all.t()).contiguous(),
             towards = in_double(points).matmul(all.t()).contiguous();
  const auto k = static_cast<std::size_t>(all.size(0));
  // No eigenvalue is larger than the largest sum of a row's absolute values.
  const double step = 1 / gram.abs().sum(1).max().item<double>();
  auto weights = torch::empty_like(towards);
  for (std::int64_t n = 0; n < towards.size(0); ++n) {
    const auto found = simplex_minimum(gram.data_ptr<double>(), towards[n].data_ptr<double>(), k, step);
    std::copy(found.begin(), found.end(), weights[n].data_ptr<double>());
  }
  return weights.to(vectors.options());
}

}  // namespace facepoison
