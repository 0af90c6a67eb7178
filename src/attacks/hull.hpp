// The points of a hull that are nearest to other points.
#pragma once
#include <torch/types.h>

#include <vector>

namespace facepoison {

// For each of N points (N×D) the weights, N×k, of k vectors (k×D) whose weighted sum is nearest to the point. The
// weights sum to 1; those of the convex hull are not below 0. Computed in double precision on the CPU; the result has
// the vectors' device and type.
torch::Tensor affine_weights(const torch::Tensor& vectors, const torch::Tensor& points);
torch::Tensor convex_weights(const torch::Tensor& vectors, const torch::Tensor& points);

// The nearest numbers that are not below 0 and sum to 1. `numbers` must not be empty.
std::vector<double> onto_simplex(const std::vector<double>& numbers);

}  // namespace facepoison
