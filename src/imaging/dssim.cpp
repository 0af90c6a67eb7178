#include "facepoison/dssim.hpp"

#include "facepoison/blur.hpp"

namespace facepoison {
namespace {

constexpr int window = 11;

}  // namespace

torch::Tensor windows_inside(const torch::Tensor& area) {
  return 1 - at::max_pool2d(1 - area, {window, window}, {1, 1});
}

torch::Tensor dssim(const torch::Tensor& a, const torch::Tensor& b, const torch::Tensor& windows) {
  const double c1 = 0.01 * 0.01, c2 = 0.03 * 0.03;
  // All blurs at once: a processor's vectors hold more channels than a picture has. Then each one contiguous.
  const auto blurred =
      gaussian_blur(torch::cat({a, b, a * b, a * a + b * b}, 1), window, 1.5, false).contiguous().chunk(4, 1);
  const auto &mean_a = blurred[0], &mean_b = blurred[1];
  const auto product = mean_a * mean_b, squares = mean_a * mean_a + mean_b * mean_b;
  const auto luminance = (2 * product + c1) / (squares + c1);
  const auto contrast = (2 * (blurred[2] - product) + c2) / (blurred[3] - squares + c2);
  const auto ssim = (luminance * contrast).mean(1, true);
  return (1 - (windows.defined() ? (ssim * windows).sum({1, 2, 3}) / windows.sum({1, 2, 3}).clamp_min(1)
                                 : ssim.mean({1, 2, 3}))) /
         2;
}

}  // namespace facepoison
