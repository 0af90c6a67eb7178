// Chameleon (Chow et al., ECCV 2024; github.com/git-disl/Chameleon): a mask whose sign steps ascend the angle between
// the embeddings of a photo with and without it, summed over surrogates, under a penalty on DSSIM above .03. The
// penalty's weight halves where a batch's mean DSSIM is at most .9 of that, doubles where it is at least 1.1 of it, and
// is 1 between.
//
// Ten photos take 510 passes forward and 500 backward for each surrogate.
//
// Deviations from the authors' code:
// - The mask lies on the aligned canvas, and DSSIM covers what the surrogates see ("dssim_over": "seen"). There, it
//   lies on a padded crop of 112 pixels, and its padding is taken out.
// - Random numbers come from the person's stream, not from one seed for everybody.
#include "attacks/mask.hpp"

namespace facepoison {
namespace {

// Between vectors of length one, N×D → N. Unlike the arccosine, its slope is finite for equal vectors.
torch::Tensor angles(const torch::Tensor& a, const torch::Tensor& b) {
  return 2 * at::atan2((a - b).norm(2, 1), (a + b).norm(2, 1));
}

class Chameleon final : public MaskAttack {
 public:
  Chameleon(AttackSettings settings, double epsilon, double threshold, Course course)
      : MaskAttack(std::move(settings), epsilon), course_(std::move(course)) {
    course_.loss = [](const torch::Tensor& clean, const torch::Tensor& masked) {
      return -angles(clean, masked).mean();
    };
    course_.penalty = [threshold](const torch::Tensor& distances) {
      return (distances - threshold).clamp_min(0).mean();
    };
    course_.low = 0.9 * threshold;
    course_.high = 1.1 * threshold;
  }

  torch::Tensor fit(const Faces& photos, Seed seed) const override { return learn(photos, seed, "chameleon", course_); }

 private:
  Course course_;
};

}  // namespace

std::shared_ptr<Attack> make_chameleon(Spec& spec, AttackSettings settings) {
  const double epsilon = spec.number("epsilon", 0, 1, 16.0 / 255), threshold = spec.number("threshold", 0, 1, 0.03);
  MaskAttack::Course course;
  course.step = course.start = spec.number("step", 0, 1, 0.001);
  course.epochs = spec.integer("epochs", 0, 100000, 50);
  course.batch = spec.integer("batch", 1, 1024, 4);
  course.shuffled = true;
  course.seen = seen_from(spec);
  return std::make_shared<Chameleon>(std::move(settings), epsilon, threshold, std::move(course));
}

}  // namespace facepoison
