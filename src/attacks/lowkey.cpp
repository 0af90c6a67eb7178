// LowKey (Cherepanova et al., ICLR 2021), as its code does it (util/attack_utils.py, feature_extraction_utils.py): sign
// ascent on mean (f(x′) − v)²/‖v‖ − w·LPIPS(x, x′), where v is the clean photo's feature. Every surrogate sees a
// blurred and a plain view, each averaged with its mirror image and normalised. The code keeps the best of its starts
// but has only one start, so its users posted the last iterate ("keep": "last"). "best" takes each photo's best iterate
// instead.
//
// The paper names four surrogates; the code attacks two. It makes one network for each architecture name and loads two
// files into it one after the other, so its list IR-152, IR-152, ResNet-152, ResNet-152 holds the CosFace-trained
// network of each kind twice. Preset `lowkey` has these two, which the code ran; `lowkey-paper` has all four.
//
// The preset's name says which perceptual distance it uses. `lowkey` and `lowkey-paper` need LPIPS. Two presets have a
// stand-in: `lowkey-lite0` (another network's features, without learnt heads, its weight calibrated on pictures made by
// the LowKey authors' code) and `lowkey-dssim` (LPIPS's weight of 0.05, not calibrated).
//
// As in the code, the mean runs over 512 features for every network ("features"), so the perceptual term counts as much
// with a surrogate of another dimension. 0 gives each surrogate's own mean.
//
// Deviations from that code:
// - The perceptual distance covers the whole canvas, as FaceCure ran it on a whole picture of 112 pixels; the original
//   averages the distances of the aligned crop and of the whole picture. DSSIM, in its place, covers what the
//   surrogates see ("dssim_over": "seen").
// - The blurred view is blurred after the warp to a surrogate's crop; the original blurs, then warps. FaceCure's
//   pictures are not warped.
// - Surrogates are the user's cards. If LowKey's own were not exported, the preset's stand_ins are attacked, and a note
//   says so.
#include "attacks/search.hpp"
#include "facepoison/blur.hpp"
#include "facepoison/dssim.hpp"
#include "facepoison/quantise.hpp"

namespace facepoison {
namespace {

torch::Tensor unit_features(const torch::Tensor& features) { return features / features.norm(2, 1, true); }

class LowKey final : public Attack {
 public:
  struct Parameters {
    double step, start, similarity_weight, blur_sigma;
    std::int64_t steps, blur_size, features;
    bool blurred_view, plain_view, mirror, truncate, keep_best, seen;
  };

  LowKey(AttackSettings settings, Parameters parameters) : Attack(std::move(settings)), p_(parameters) {}

 private:
  // The features of several views of each photo, N×D for each view, from one network pass over all views.
  std::vector<torch::Tensor> features(const FeatureExtractor& surrogate, std::vector<torch::Tensor> views) const {
    const auto count = static_cast<std::int64_t>(views.size());
    if (p_.mirror)
      for (std::int64_t k = 0; k < count; ++k) views.push_back(views[static_cast<std::size_t>(k)].flip(3));
    const auto rows = surrogate.embed_view(torch::cat(views)).chunk(static_cast<std::int64_t>(views.size()));
    std::vector<torch::Tensor> found;
    for (std::size_t k = 0; k < static_cast<std::size_t>(count); ++k)
      found.push_back(unit_features(p_.mirror ? rows[k] + rows[k + static_cast<std::size_t>(count)] : rows[k]));
    return found;
  }

  std::vector<torch::Tensor> clean_features(const Faces& faces) const {
    const torch::NoGradGuard no_grad;
    std::vector<torch::Tensor> clean;
    for (const auto& surrogate : settings().surrogates)
      clean.push_back(features(*surrogate, {surrogate->view(faces)}).front());
    return clean;
  }

  // One surrogate's part of the mean over surrogates, views and `features` dimensions of (f − v)²/‖v‖: N.
  torch::Tensor distance(std::size_t s, const Faces& faces, const std::vector<torch::Tensor>& clean) const {
    const auto& surrogate = *settings().surrogates[s];
    const auto view = surrogate.view(faces);
    std::vector<torch::Tensor> seen;
    if (p_.blurred_view) seen.push_back(gaussian_blur(view, static_cast<int>(p_.blur_size), p_.blur_sigma, true));
    if (p_.plain_view) seen.push_back(view);
    const auto dimensions = static_cast<double>(p_.features > 0 ? p_.features : clean[s].size(1));
    torch::Tensor sum = torch::zeros({faces.size()}, faces.pixels.options().requires_grad(false));
    for (const auto& feature : features(surrogate, seen))
      sum = sum + ((feature - clean[s]).square() / clean[s].norm(2, 1, true)).sum(1) / dimensions;
    return sum / static_cast<double>(clean.size() * seen.size());
  }

  torch::Tensor own_measure(const Faces& faces, const Faces&, const torch::Tensor& pixels) const override {
    const torch::NoGradGuard no_grad;
    Faces seen = faces;
    seen.pixels = pixels;
    const auto clean = clean_features(faces);
    torch::Tensor sum = torch::zeros({faces.size()}, pixels.options());
    for (std::size_t s = 0; s < clean.size(); ++s) sum += distance(s, seen, clean);
    return sum;
  }

  Found run(const Faces& faces, const Faces&, Seed seed) const override {
    const auto clean = clean_features(faces);
    const auto windows = p_.seen ? seen_windows(faces, settings().surrogates) : torch::Tensor();
    const auto& perceptual = settings().perceptual;
    const auto clean_seen = perceptual ? perceptual->look(faces.pixels) : Perceptual::Seen{};
    Faces moved = faces;
    auto pixels = faces.pixels + uniform_noise(faces, seed, "lowkey", -p_.start, p_.start);
    Search search(faces.pixels, 0);
    const auto all = torch::ones_like(search.here, torch::kBool);
    for (std::int64_t i = 0; i <= p_.steps; ++i) {
      const bool last = i == p_.steps;  // the last pass only scores
      const torch::AutoGradMode gradients(!last);
      // Clamped once, at the end, as in the original.
      moved.pixels = (last ? pixels.detach().clamp(0, 1) : pixels.detach()).requires_grad_(!last);
      auto gained = torch::zeros_like(search.best), slope = torch::zeros_like(pixels);
      // Takes each part's gradient immediately, so that only one surrogate's layers are in memory.
      const auto add = [&](const torch::Tensor& part) {
        if (!last) slope += gradient(part.sum(), moved.pixels);
        return part.detach();
      };
      for (std::size_t s = 0; s < clean.size(); ++s) gained += add(distance(s, moved, clean));
      // With a perceptual network DSSIM is only recorded.
      const auto dissimilarity = dssim(faces.pixels, perceptual ? moved.pixels.detach() : moved.pixels, windows);
      const auto held =
          add(-p_.similarity_weight *
              (perceptual ? perceptual->between(clean_seen, perceptual->look(moved.pixels)) : dissimilarity));
      search.note(-(gained + held), dissimilarity, gained);
      if (last || (p_.keep_best && i > 0)) search.offer(i, moved.pixels, gained, all);
      if (last) break;
      pixels = moved.pixels.detach() + p_.step * sign_of(slope);
    }
    const auto best = search.pictures.clamp(0, 1);
    return {p_.truncate ? truncated(best) : best,
            std::vector<std::int64_t>(faces.ids.size(), p_.steps),
            {},
            search.trace()};
  }
  Parameters p_;
};

}  // namespace

std::shared_ptr<Attack> make_lowkey(Spec& spec, AttackSettings settings) {
  LowKey::Parameters p;
  p.step = spec.number("step", 0, 1, 0.0025);
  p.steps = spec.integer("steps", 0, 100000, 50);  // 0: only the start
  p.start = spec.number("start", 0, 1, 0.005);
  p.similarity_weight = spec.number("similarity_weight", 0, 1e6, 0.05);
  p.blurred_view = spec.flag("blurred_view", true);
  p.plain_view = spec.flag("plain_view", true);
  p.blur_size = spec.integer("blur_size", 1, 31, 7);
  p.blur_sigma = spec.number("blur_sigma", 0.01, 100, 3);
  p.mirror = spec.flag("mirror", true);
  p.keep_best = spec.choice("keep", {"last", "best"}, "last") == "best";
  p.truncate = spec.choice("rounding", {"truncate", "nearest"}, "truncate") == "truncate";
  p.features = spec.integer("features", 0, 65536, 512);
  p.seen = seen_from(spec);
  const auto distance = spec.choice("distance", {"lpips", "lite0", "dssim"});
  if (distance != "lpips")
    settings.notes.push_back(
        concat(settings.name, ": ", distance == "dssim" ? "DSSIM, uncalibrated," : distance, " in the place of LPIPS"));
  if (!p.blurred_view && !p.plain_view)
    spec.fail("plain_view", "found false, and blurred_view is false too; expected at least one of them true");
  if (p.blur_size % 2 == 0) spec.fail("blur_size", concat("found ", p.blur_size, ", expected an odd number"));
  return std::make_shared<LowKey>(std::move(settings), p);
}

}  // namespace facepoison
