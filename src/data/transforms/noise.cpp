// Gaussian noise at every pixel and channel, new for each photo.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "data/transforms/registry.hpp"

namespace facepoison {
namespace {

class NoiseTransform final : public Transform {
 public:
  explicit NoiseTransform(double deviation) : deviation_(deviation) {}
  bool is_random() const override { return true; }

  Canvas operator()(Canvas canvas, Seed seed, const std::string& photo) const override {
    Stream stream(seed, "noise transform", "", photo);
    for (auto& value : canvas.image.rgb) {
      // Box and Muller's; 1 − u keeps the logarithm finite.
      const double radius = std::sqrt(-2 * std::log(1 - stream.uniform()));
      const double normal = radius * std::cos(2 * std::numbers::pi * stream.uniform());
      value = static_cast<std::uint8_t>(std::clamp(std::lround(value + deviation_ * normal), 0L, 255L));
    }
    return canvas;
  }

 private:
  double deviation_;
};

}  // namespace

std::unique_ptr<Transform> make_random_noise(Spec& spec) {
  return std::make_unique<NoiseTransform>(spec.number("deviation", 0, 255));  // grey levels
}

}  // namespace facepoison
