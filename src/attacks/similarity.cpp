#include "facepoison/similarity.hpp"

namespace facepoison {
namespace {

// Gaussians are separable: one pass along rows, one along columns.
torch::Tensor blur_valid(const torch::Tensor& pixels, int size, double sigma) {
  const auto x = torch::arange(size, torch::kFloat64) - (size - 1) / 2.0;
  const auto weights = torch::exp(-x * x / (2 * sigma * sigma));
  const std::int64_t channels = pixels.size(1);
  const auto kernel = (weights / weights.sum()).to(pixels.options());
  const auto row = kernel.view({1, 1, 1, size}).expand({channels, 1, 1, size}), column = kernel.view({1, 1, size, 1}).expand({channels, 1, size, 1});
  const auto convolve = [channels](const torch::Tensor& in, const torch::Tensor& weight) {
    return at::conv2d(in, weight, {}, at::IntArrayRef{1}, at::IntArrayRef{0}, at::IntArrayRef{1}, channels);
  };
  return convolve(convolve(pixels, row), column);
}

}  // namespace

torch::Tensor gaussian_blur(const torch::Tensor& pixels, int size, double sigma, bool reflect) {
  const int half = size / 2;
  return blur_valid(reflect ? at::reflection_pad2d(pixels, {half, half, half, half}) : pixels, size, sigma);
}

torch::Tensor dssim(const torch::Tensor& a, const torch::Tensor& b) {
  const double c1 = 0.01 * 0.01, c2 = 0.03 * 0.03;
  const auto blur = [](const torch::Tensor& t) { return blur_valid(t, 11, 1.5); };
  const auto mean_a = blur(a), mean_b = blur(b);
  const auto product = mean_a * mean_b, squares = mean_a * mean_a + mean_b * mean_b;
  const auto luminance = (2 * product + c1) / (squares + c1);
  const auto contrast = (2 * (blur(a * b) - product) + c2) / (blur(a * a + b * b) - squares + c2);
  return (1 - (luminance * contrast).mean({1, 2, 3})) / 2;
}

}  // namespace facepoison
