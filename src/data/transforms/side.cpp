// Resizes to side × side pixels, by PIL's bicubic, as FaceCure does before it perturbs. The only transform that changes
// a picture's size.
#include "data/transforms/registry.hpp"

namespace facepoison {
namespace {

class Side final : public Transform {
 public:
  explicit Side(int side) : side_(side) {}

  Canvas operator()(Canvas canvas, Seed, const std::string&) const override {
    const double scale = static_cast<double>(side_) / canvas.image.width;  // of a square
    const Similarity shrink{scale, 0, (scale - 1) / 2, (scale - 1) / 2};   // pixels' middles are whole numbers
    canvas.image = resample_image(canvas.image, side_, side_, Interpolation::bicubic, /*antialias=*/true);
    if (canvas.landmarks)
      for (auto& point : *canvas.landmarks) point = shrink.apply(point);
    return canvas;
  }

 private:
  int side_;
};

}  // namespace

std::unique_ptr<Transform> make_side(Spec& spec) {
  return std::make_unique<Side>(static_cast<int>(spec.integer("side", 16, 1024)));
}

}  // namespace facepoison
