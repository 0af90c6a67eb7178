// The middle part of the picture, enlarged to the canvas (bilinear). The face's landmarks move with it.
#include "data/transforms/registry.hpp"

namespace facepoison {
namespace {

class Crop final : public Transform {
 public:
  explicit Crop(double share) : share_(share) {}

  Canvas operator()(Canvas canvas, Seed, const std::string&) const override {
    const double middle = 0.5 * (canvas.image.width - 1);  // of a square
    const Similarity enlarge{1 / share_, 0, middle - middle / share_, middle - middle / share_};
    canvas.image = warp_image(canvas.image, enlarge, canvas.image.width);
    if (canvas.landmarks)
      for (auto& point : *canvas.landmarks) point = enlarge.apply(point);
    return canvas;
  }

 private:
  double share_;
};

}  // namespace

std::unique_ptr<Transform> make_crop(Spec& spec) { return std::make_unique<Crop>(spec.number("share", 0.1, 1)); }

}  // namespace facepoison
