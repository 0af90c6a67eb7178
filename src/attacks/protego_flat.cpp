// Protego's loss without its 3D warp (Protego, CVPR 2026; github.com/HKU-TASR/Protego): a mask whose sign steps make a
// photo's embedding unlike its clean one, and the masked photos unlike each other. A surrogate's loss is the mean
// cosine between embeddings with and without the mask, − log(det(G + 1e-4·I) + 1e-4), where G has the products of the
// batch's masked embeddings; the mean over surrogates is minimised. SSIM below .95 is penalised. The penalty's weight
// halves where a batch's SSIM is at least 1.01 of that, doubles where it is at most .99 of it, and is 1 between.
//
// Ten photos take 2,010 passes forward and 1,000 backward for each surrogate: with more than four photos in a batch,
// each step computes the embeddings twice, since all layers of a whole batch need too much memory.
//
// Deviations from the authors' code:
// - The mask lies flat on the aligned canvas, on the face and around it. There, it is a texture that a 3D model of the
//   face bends over each photo, and only the face changes. Where no surrogate sees the canvas, the mask starts as 0.
// - SSIM covers what the surrogates see ("dssim_over": "seen").
// - The start is the person's own, not the same for everybody.
// - The authors learn a mask from 60 % of a person's photos; here the experiment says from how many.
#include "attacks/mask.hpp"

namespace facepoison {
namespace {

class ProtegoFlat final : public MaskAttack {
 public:
  ProtegoFlat(AttackSettings settings, double epsilon, double least_ssim, Course course)
      : MaskAttack(std::move(settings), epsilon), course_(std::move(course)) {
    course_.start = this->epsilon();
    const auto surrogates = static_cast<double>(this->settings().surrogates.size());
    course_.loss = [surrogates](const torch::Tensor& clean, const torch::Tensor& masked) {
      return ((clean * masked).sum(1).mean() + closeness(masked)) / surrogates;
    };
    // SSIM is 1 − 2·DSSIM.
    course_.penalty = [least_ssim](const torch::Tensor& distances) {
      return (least_ssim - (1 - 2 * distances.mean())).clamp_min(0);
    };
    course_.low = (1 - 1.01 * least_ssim) / 2;
    course_.high = (1 - 0.99 * least_ssim) / 2;
  }

  torch::Tensor fit(const Faces& photos, Seed seed) const override { return learn(photos, seed, "protego", course_); }

 private:
  Course course_;
};

}  // namespace

std::shared_ptr<Attack> make_protego_flat(Spec& spec, AttackSettings settings) {
  const double epsilon = spec.number("epsilon", 0, 1, 16.0 / 255), least_ssim = spec.number("least_ssim", 0, 1, 0.95);
  MaskAttack::Course course;
  course.step = spec.number("step", 0, 1, 0.01 * 16 / 255);
  course.epochs = spec.integer("epochs", 0, 100000, 100);
  course.batch = spec.integer("batch", 1, 1024, 16);
  course.shuffled = false;
  course.seen = seen_from(spec);
  return std::make_shared<ProtegoFlat>(std::move(settings), epsilon, least_ssim, std::move(course));
}

}  // namespace facepoison
