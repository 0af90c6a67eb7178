// LowKey (Cherepanova et al., ICLR 2021), as its code does it (util/attack_utils.py, feature_extraction_utils.py):
// sign ascent on mean (f(x′) − v)²/‖v‖ − w·D(x, x′), where v is the clean photo's feature and every surrogate looks at
// a blurred and at a plain view, each averaged with its mirror image and normalised.
//
// Deviations from that code:
// - D is DSSIM over the whole canvas. The original's LPIPS needs weights that no registry ships. DSSIM has another
//   scale, and the weight 0.05 was not calibrated for it.
// - The best iterate is kept for each photo, where the original compares the mean over its batch.
// - An iterate is scored after its step, the last one too.
// - Surrogates are the user's cards, where the original has four face.evoLVe networks.
// - The mean over feature dimensions is taken for each surrogate, then over surrogates, as their dimensions may differ.
#include "attacks/registry.hpp"
#include "facepoison/similarity.hpp"

namespace facepoison {
namespace {

struct Parameters {
  double step, start, similarity_weight, blur_sigma;
  std::int64_t steps, blur_size;
  bool blurred_view, plain_view, mirror, truncate;
  std::string keep;
};

torch::Tensor unit(const torch::Tensor& features) { return features / features.norm(2, 1, true); }

class LowKey final : public Attack {
 public:
  LowKey(AttackSettings settings, Parameters parameters) : Attack(std::move(settings)), p_(std::move(parameters)) {}

 private:
  torch::Tensor feature(const FeatureExtractor& surrogate, const torch::Tensor& view) const {
    return unit(p_.mirror ? surrogate.embed_view(view) + surrogate.embed_view(view.flip(3)) : surrogate.embed_view(view));
  }

  // Mean over surrogates, views and dimensions of (f − v)²/‖v‖: N.
  torch::Tensor distance(const Faces& faces, const std::vector<torch::Tensor>& clean) const {
    torch::Tensor sum = torch::zeros({faces.size()}, faces.pixels.options());
    for (std::size_t s = 0; s < clean.size(); ++s) {
      const auto& surrogate = *settings().surrogates[s];
      const auto view = surrogate.view(faces);
      const auto add = [&](const torch::Tensor& seen) { sum = sum + ((feature(surrogate, seen) - clean[s]).square() / clean[s].norm(2, 1, true)).mean(1); };
      if (p_.blurred_view) add(gaussian_blur(view, static_cast<int>(p_.blur_size), p_.blur_sigma, true));
      if (p_.plain_view) add(view);
    }
    return sum / static_cast<double>(clean.size() * ((p_.blurred_view ? 1 : 0) + (p_.plain_view ? 1 : 0)));
  }

  torch::Tensor run(const Faces& faces, Seed seed) const override {
    std::vector<torch::Tensor> clean;
    {
      const torch::NoGradGuard no_grad;
      for (const auto& surrogate : settings().surrogates) clean.push_back(feature(*surrogate, surrogate->view(faces)));
    }
    Faces moved = faces;
    auto pixels = faces.pixels + uniform_noise(faces, seed, "lowkey", -p_.start, p_.start);
    auto best = pixels;
    auto best_distance = torch::zeros({faces.size()}, faces.pixels.options());
    for (std::int64_t i = 0; i <= p_.steps; ++i) {
      const bool last = i == p_.steps;  // the last pass only scores
      const torch::AutoGradMode gradients(!last);
      moved.pixels = pixels.detach().requires_grad_(!last);
      const auto gained = distance(moved, clean);
      if (i > 0) {
        // Not finite counts as better, so that the photo ends as infeasible.
        const auto better = p_.keep == "last" ? torch::ones_like(gained, torch::kBool) : gained.detach().le(best_distance).logical_not();
        best = torch::where(better.view({-1, 1, 1, 1}), moved.pixels.detach(), best);
        best_distance = torch::where(better, gained.detach(), best_distance);
      }
      if (last) break;
      const auto objective = gained - p_.similarity_weight * dssim(faces.pixels, moved.pixels);
      pixels = moved.pixels.detach() + p_.step * sign_of(gradient(objective.sum(), moved.pixels));
    }
    best = best.clamp(0, 1);  // once, at the end, as the original
    return p_.truncate ? best.mul(255).floor().div(255) : best;
  }
  Parameters p_;
};

}  // namespace

std::shared_ptr<Attack> make_lowkey(Spec& spec, AttackSettings settings) {
  Parameters p;
  p.step = spec.number("step", 0, 1, 0.0025);
  p.steps = spec.integer("steps", 1, 100000, 50);
  p.start = spec.number("start", 0, 1, 0.005);
  p.similarity_weight = spec.number("similarity_weight", 0, 1e6, 0.05);
  p.blurred_view = spec.flag("blurred_view", true);
  p.plain_view = spec.flag("plain_view", true);
  p.blur_size = spec.integer("blur_size", 1, 31, 7);
  p.blur_sigma = spec.number("blur_sigma", 0.01, 100, 3);
  p.mirror = spec.flag("mirror", true);
  p.keep = spec.choice("keep", {"best", "last"}, "best");
  p.truncate = spec.choice("rounding", {"truncate", "nearest"}, "truncate") == "truncate";
  if (!p.blurred_view && !p.plain_view) spec.fail("plain_view", "false, with blurred_view false too: nothing is left to look at");
  if (p.blur_size % 2 == 0) spec.fail("blur_size", concat("found ", p.blur_size, ", expected an odd number"));
  return std::make_shared<LowKey>(std::move(settings), p);
}

}  // namespace facepoison
