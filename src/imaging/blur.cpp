#include "facepoison/blur.hpp"

namespace facepoison {
namespace {

// in × (in − size + 1): column j holds the Gaussian's weights from row j on. Multiplying by it is a valid convolution
// along one axis, and with its gradient several times faster on a CPU than a depthwise convolution of three channels.
torch::Tensor band(std::int64_t in, int size, double sigma, const torch::TensorOptions& options) {
  const auto x = torch::arange(size, torch::kFloat64) - (size - 1) / 2.0;
  auto weights = torch::exp(-x * x / (2 * sigma * sigma));
  weights = weights / weights.sum();
  const std::int64_t out = in - size + 1;
  TORCH_CHECK(out > 0, "a picture of ", in, " pixels is smaller than the window of ", size);
  auto matrix = torch::zeros({in, out}, torch::kFloat64);
  for (int i = 0; i < size; ++i) matrix.diagonal(-i).narrow(0, 0, out).fill_(weights[i]);
  return matrix.to(options);
}

// Gaussians are separable: one product along rows, one along columns.
torch::Tensor blur_valid(const torch::Tensor& pixels, int size, double sigma) {
  const auto options = pixels.options().requires_grad(false);
  return band(pixels.size(2), size, sigma, options)
      .t()
      .matmul(pixels.matmul(band(pixels.size(3), size, sigma, options)));
}

}  // namespace

torch::Tensor gaussian_blur(const torch::Tensor& pixels, int size, double sigma, bool reflect) {
  const int half = size / 2;
  return blur_valid(reflect ? at::reflection_pad2d(pixels, {half, half, half, half}) : pixels, size, sigma);
}

}  // namespace facepoison
