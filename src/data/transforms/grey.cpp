// Without colour: luma (ITU-R BT.601) in all three channels.
#include <cmath>

#include "data/transforms/registry.hpp"

namespace facepoison {

std::unique_ptr<Transform> make_grey(Spec&) {
  return plain([](Image image) {
    for (std::size_t i = 0; i + 2 < image.rgb.size(); i += 3) {
      const double luma = 0.299 * image.rgb[i] + 0.587 * image.rgb[i + 1] + 0.114 * image.rgb[i + 2];
      image.rgb[i] = image.rgb[i + 1] = image.rgb[i + 2] = static_cast<std::uint8_t>(std::lround(luma));
    }
    return image;
  });
}

}  // namespace facepoison
