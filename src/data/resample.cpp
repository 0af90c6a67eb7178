// Resizing on bytes, as other pipelines do it.
#include <torch/torch.h>

#include <opencv2/imgproc.hpp>

#include "data/matrix.hpp"
#include "facepoison/image.hpp"

namespace facepoison {
namespace {

// Resizes with antialiasing. PyTorch's kernel for bytes is PIL's: whole-number weights, rounded between the two passes
// too. In float it would be up to 6 grey levels off.
Image antialiased(const Image& image, int width, int height, bool bicubic) {
  const auto bytes =
      torch::from_blob(const_cast<std::uint8_t*>(image.rgb.data()), {1, image.height, image.width, 3}, torch::kUInt8)
          .permute({0, 3, 1, 2});
  const auto resized = bicubic ? at::_upsample_bicubic2d_aa(bytes, {height, width}, false)
                               : at::_upsample_bilinear2d_aa(bytes, {height, width}, false);
  const auto rows = resized.permute({0, 2, 3, 1}).contiguous();
  const auto* data = rows.data_ptr<std::uint8_t>();
  return {width, height, {data, data + rows.numel()}};
}

}  // namespace

Image resample_image(const Image& image, int width, int height, Interpolation interpolation, bool antialias) {
  if (width == image.width && height == image.height) return image;
  if (antialias) return antialiased(image, width, height, interpolation == Interpolation::bicubic);
  cv::Mat out;
  cv::resize(matrix(image), out, {width, height}, 0, 0,
             interpolation == Interpolation::bicubic   ? cv::INTER_CUBIC
             : interpolation == Interpolation::nearest ? cv::INTER_NEAREST
                                                       : cv::INTER_LINEAR);
  return image_of(out);
}

}  // namespace facepoison
