// The median of each pixel's neighbourhood, channel by channel.
#include <opencv2/imgproc.hpp>

#include "data/matrix.hpp"
#include "data/transforms/registry.hpp"

namespace facepoison {

std::unique_ptr<Transform> make_median(Spec& spec) {
  const auto size = static_cast<int>(spec.integer("size", 3, 31, 3));  // pixels of the canvas, a side
  if (size % 2 == 0) spec.fail("size", concat("found ", size, ", expected an odd number"));
  return plain([size](const Image& image) {
    cv::Mat out;
    cv::medianBlur(matrix(image), out, size);
    return image_of(out);
  });
}

}  // namespace facepoison
