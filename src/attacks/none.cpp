// A control: leaves photos as they are.
#include "attacks/registry.hpp"

namespace facepoison {
namespace {

class None final : public Attack {
 public:
  using Attack::Attack;
  bool changes_photos() const override { return false; }

 private:
  Found run(const Faces& faces, const Faces&, Seed) const override { return {faces.pixels}; }
};

}  // namespace

std::shared_ptr<Attack> make_none(Spec&, AttackSettings settings) {
  return std::make_shared<None>(std::move(settings));
}

}  // namespace facepoison
