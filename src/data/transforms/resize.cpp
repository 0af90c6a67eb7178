// Shrinks (by area) and enlarges again (bilinear).
#include <algorithm>
#include <cmath>

#include "data/transforms/registry.hpp"

namespace facepoison {

std::unique_ptr<Transform> make_resize(Spec& spec) {
  const double scale = spec.number("scale", 0.01, 1);
  return plain([scale](const Image& image) {
    const auto smaller = [&](int side) { return std::max(1, static_cast<int>(std::lround(side * scale))); };
    return resize_image(resize_image(image, smaller(image.width), smaller(image.height)), image.width, image.height);
  });
}

}  // namespace facepoison
