// A Gaussian blur; the picture is mirrored at its border.
#include <opencv2/imgproc.hpp>

#include "data/matrix.hpp"
#include "data/transforms/registry.hpp"

namespace facepoison {

std::unique_ptr<Transform> make_blur(Spec& spec) {
  const double sigma = spec.number("sigma", 0.1, 50);  // pixels of the canvas
  return plain([sigma](const Image& image) {
    cv::Mat out;
    cv::GaussianBlur(matrix(image), out, {}, sigma);
    return image_of(out);
  });
}

}  // namespace facepoison
