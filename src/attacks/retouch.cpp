// A control: the transform `retouch`, as an attack, so that what it changes is audited like an attack's change. It
// knows no recogniser. Does a cloak protect better than the filters of a photo editor?
#include "attacks/registry.hpp"

namespace facepoison {
namespace {

class Retouch final : public Attack {
 public:
  Retouch(AttackSettings settings, std::shared_ptr<const Transform> transform)
      : Attack(std::move(settings)), transform_(std::move(transform)) {}

 private:
  Found run(const Faces& faces, const Faces&, Seed seed) const override {
    std::vector<torch::Tensor> pictures;
    const auto pixels = faces.pixels.to(torch::kCPU);
    for (std::size_t n = 0; n < faces.ids.size(); ++n) {
      const Canvas clean{to_image(pixels[static_cast<std::int64_t>(n)]), {}};
      pictures.push_back(to_tensor((*transform_)(clean, seed, faces.ids[n]).image));
    }
    return {torch::cat(pictures).to(faces.pixels.device())};
  }

  std::shared_ptr<const Transform> transform_;
};

}  // namespace

std::shared_ptr<Attack> make_retouch_attack(Spec& spec, AttackSettings settings) {
  Json wanted = {{"transform", "retouch"}};
  for (const auto* key : {"smoothing", "contrast", "warmth"}) wanted[key] = spec.raw(key);
  const auto transform = make_transform(wanted);
  settings.transform = transform->identity();
  return std::make_shared<Retouch>(std::move(settings), transform);
}

}  // namespace facepoison
