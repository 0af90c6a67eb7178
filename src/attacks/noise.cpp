// A control: adds random ±epsilon to every pixel and channel. It uses an attack's budget without its goal.
#include "attacks/registry.hpp"

namespace facepoison {
namespace {

class Noise final : public Attack {
 public:
  Noise(AttackSettings settings, double epsilon) : Attack(std::move(settings)), epsilon_(epsilon) {}

 private:
  Found run(const Faces& faces, const Faces&, Seed seed) const override {
    return {faces.pixels + epsilon_ * uniform_noise(faces, seed, "noise", -1, 1).sign()};
  }
  double epsilon_;
};

}  // namespace

std::shared_ptr<Attack> make_noise(Spec& spec, AttackSettings settings) {
  const double epsilon = spec.number("epsilon", 0, 1, 8.0 / 255);
  return std::make_shared<Noise>(std::move(settings), epsilon);
}

}  // namespace facepoison
