#include "facepoison/blur.hpp"

namespace facepoison {
namespace {

// The weights of a Gaussian along one axis.
torch::Tensor gaussian(int size, double sigma) {
  const auto x = torch::arange(size, torch::kFloat64) - (size - 1) / 2.0;
  const auto weights = torch::exp(-x * x / (2 * sigma * sigma));
  return weights / weights.sum();
}

// Gaussians are separable: one depthwise convolution along rows, one along columns.
torch::Tensor blur_valid(const torch::Tensor& pixels, int size, double sigma) {
  const auto channels = pixels.size(1);
  const auto weights = gaussian(size, sigma).to(pixels.options().requires_grad(false)).repeat({channels, 1});
  // The layout with fast depthwise convolutions; in double precision there is none.
  const auto layout =
      pixels.scalar_type() == torch::kFloat64 ? torch::MemoryFormat::Contiguous : torch::MemoryFormat::ChannelsLast;
  const auto along = at::conv2d(pixels.contiguous(layout), weights.view({channels, 1, 1, size}), {}, 1,
                                at::IntArrayRef{0}, 1, channels);
  return at::conv2d(along, weights.view({channels, 1, size, 1}), {}, 1, at::IntArrayRef{0}, 1, channels);
}

}  // namespace

torch::Tensor gaussian_blur(const torch::Tensor& pixels, int size, double sigma, bool reflect) {
  const int half = size / 2;
  return blur_valid(reflect ? at::reflection_pad2d(pixels, {half, half, half, half}) : pixels, size, sigma);
}

}  // namespace facepoison
