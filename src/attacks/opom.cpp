// OPOM (Zhong and Deng, TPAMI 2022; github.com/zhongyy/OPOM): a mask that drives a person's photos away from the
// subspace of their clean embeddings. With A the clean embeddings of the k photos that the mask is learned from, all of
// length one, and y the embedding of a photo with the mask, sign steps ascend the mean of ‖A·c − y‖². The weights c are
// fixed within a step. Key "hull":
// - "fi-uap": the photo's own clean embedding;
// - "class-center": 1/k for each;
// - "affine": those with the sum 1 that come nearest to y, by a direct solution;
// - "convex": likewise, and none below 0, by projected gradient. The first "centre_steps" steps take 1/k: y starts
//   inside the hull, where the distance is 0.
// With several surrogates the distances are added: lengths of one make them comparable.
//
// Ten photos take 170 passes forward and 160 backward for each surrogate.
//
// Deviations from the authors' code:
// - The mask starts as one picture of random numbers. There, each photo has its own, and the first step takes their
//   mean, so that it starts from a weaker mask. Where no surrogate sees the canvas, the mask stays 0.
// - A pixel that the mask drives below black or above white has no slope there, and the mask is that of the steps.
//   There, it is the mean over photos of what remains of it after clamping.
#include <limits>

#include "attacks/hull.hpp"
#include "attacks/mask.hpp"

namespace facepoison {
namespace {

enum class Hull { own, centre, affine, convex };

class Opom final : public MaskAttack {
 public:
  struct Parameters {
    double epsilon, step;
    std::int64_t steps, centre_steps;
    Hull hull;
  };

  Opom(AttackSettings settings, Parameters parameters)
      : MaskAttack(std::move(settings), parameters.epsilon), p_(parameters) {}

  torch::Tensor fit(const Faces& photos, Seed seed) const override {
    const auto clean = embed_all(photos);
    Rows all;
    for (std::int64_t row = 0; row < photos.size(); ++row) all.push_back(row);
    auto mask = start(photos, seed, "opom", epsilon());
    for (std::int64_t i = 0; i < p_.steps; ++i) {
      auto down = torch::zeros_like(mask);
      for (const auto& rows : in_batches(all, chunk))
        down += slope(some_of(photos, rows), mask, [&](std::size_t s, const torch::Tensor& masked) {
          return -(masked - nearest(clean[s], rows.front(), masked.detach(), i)).square().sum();
        });
      mask = stepped(mask, down, p_.step);
    }
    return mask;
  }

 private:
  // The points, N×D, from which the masked embeddings move away at step i. `first`: the row of the first photo.
  torch::Tensor nearest(const torch::Tensor& clean, std::int64_t first, const torch::Tensor& masked,
                        std::int64_t i) const {
    if (p_.hull == Hull::own) return clean.narrow(0, first, masked.size(0));
    if (p_.hull == Hull::centre || (p_.hull == Hull::convex && i < p_.centre_steps)) return clean.mean(0, true);
    // A photo that breaks a network spoils the mask; see Attack::perturb().
    if (!(clean.sum() + masked.sum()).isfinite().item<bool>())
      return torch::full_like(masked, std::numeric_limits<double>::quiet_NaN());
    return (p_.hull == Hull::affine ? affine_weights(clean, masked) : convex_weights(clean, masked)).matmul(clean);
  }

  Parameters p_;
};

}  // namespace

std::shared_ptr<Attack> make_opom(Spec& spec, AttackSettings settings) {
  Opom::Parameters p;
  p.epsilon = spec.number("epsilon", 0, 1, 8.0 / 255);
  p.step = spec.number("step", 0, 1, 1.0 / 255);
  p.steps = spec.integer("steps", 0, 100000, 16);
  const std::map<std::string, Hull> hulls = {
      {"fi-uap", Hull::own}, {"class-center", Hull::centre}, {"affine", Hull::affine}, {"convex", Hull::convex}};
  p.hull = hulls.at(spec.choice("hull", {"fi-uap", "class-center", "affine", "convex"}, "convex"));
  p.centre_steps = spec.integer("centre_steps", 0, 100000, 5);
  return std::make_shared<Opom>(std::move(settings), p);
}

}  // namespace facepoison
