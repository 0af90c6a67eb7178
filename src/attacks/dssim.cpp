#include "facepoison/dssim.hpp"

namespace facepoison {
namespace {

constexpr int window = 11;

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

torch::Tensor windows_inside(const torch::Tensor& area) {
  return 1 - at::max_pool2d(1 - area, {window, window}, {1, 1});
}

torch::Tensor dssim(const torch::Tensor& a, const torch::Tensor& b, const torch::Tensor& windows) {
  const double c1 = 0.01 * 0.01, c2 = 0.03 * 0.03;
  const auto blur = [](const torch::Tensor& t) { return blur_valid(t, window, 1.5); };
  const auto mean_a = blur(a), mean_b = blur(b);
  const auto product = mean_a * mean_b, squares = mean_a * mean_a + mean_b * mean_b;
  const auto luminance = (2 * product + c1) / (squares + c1);
  const auto contrast = (2 * (blur(a * b) - product) + c2) / (blur(a * a + b * b) - squares + c2);
  const auto ssim = (luminance * contrast).mean(1, true);
  return (1 - (windows.defined() ? (ssim * windows).sum({1, 2, 3}) / windows.sum({1, 2, 3}).clamp_min(1)
                                 : ssim.mean({1, 2, 3}))) /
         2;
}

}  // namespace facepoison
