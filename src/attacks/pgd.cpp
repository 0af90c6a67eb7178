// Projected gradient ascent (Madry et al. 2018) away from the photo's own embedding: on the mean over surrogates of
// ‖F(x′) − F(x)‖² / ‖F(x)‖, by sign steps, within an L∞ ball. A plain baseline of our own, not one of the paper's
// attacks. The surrogates' gradients are balanced: each is scaled to a mean size of 1 for each photo before they are
// added. Embeddings differ in length and spread (raw length about 1.5 for dlib, 3.5 for faceplugin, 71 for
// mobilefacenet); with a plain mean only the surrogate with the largest numbers is fooled. "balance": false gives the
// plain mean.
#include <cmath>

#include "attacks/registry.hpp"

namespace facepoison {
namespace {

class Pgd final : public Attack {
 public:
  struct Parameters {
    double epsilon, step;
    std::int64_t steps;
    bool random_start, balance;
  };

  Pgd(AttackSettings settings, Parameters parameters) : Attack(std::move(settings)), p_(parameters) {
    // Rounds down to whole grey levels, so that rounding to 8 bits cannot leave the ball.
    p_.epsilon = std::floor(p_.epsilon * 255 + 1e-6) / 255;
  }

 private:
  std::vector<torch::Tensor> embed_all(const Faces& faces) const {
    const torch::NoGradGuard no_grad;
    std::vector<torch::Tensor> own;
    for (const auto& surrogate : settings().surrogates) own.push_back(surrogate->embed(faces));
    return own;
  }

  // ‖F(x′) − F(x)‖² / ‖F(x)‖ under one surrogate: N.
  torch::Tensor distance(std::size_t s, const std::vector<torch::Tensor>& own, const Faces& moved) const {
    return (settings().surrogates[s]->embed(moved) - own[s]).square().sum(1) / own[s].norm(2, 1);
  }

  torch::Tensor own_measure(const Faces& faces, const Faces&, const torch::Tensor& pixels) const override {
    const torch::NoGradGuard no_grad;
    const auto own = embed_all(faces);
    Faces moved = faces;
    moved.pixels = pixels;
    auto sum = torch::zeros({faces.size()}, pixels.options());
    for (std::size_t s = 0; s < own.size(); ++s) sum += distance(s, own, moved);
    return sum / static_cast<double>(own.size());
  }

  Found run(const Faces& faces, const Faces&, Seed seed) const override {
    const auto own = embed_all(faces);
    Faces moved = faces;
    auto project = [&](const torch::Tensor& pixels) {
      return torch::max(torch::min(pixels, faces.pixels + p_.epsilon), faces.pixels - p_.epsilon).clamp(0, 1);
    };
    auto pixels = faces.pixels;
    // Without a random start the distance and its gradient are zero, and no step would move the picture.
    if (p_.random_start) pixels = project(pixels + uniform_noise(faces, seed, "pgd", -p_.epsilon, p_.epsilon));
    for (std::int64_t i = 0; i < p_.steps; ++i) {
      moved.pixels = pixels.detach().requires_grad_(true);
      auto direction = torch::zeros_like(pixels);
      for (std::size_t s = 0; s < own.size(); ++s) {
        const auto ascent = gradient(distance(s, own, moved).sum(), moved.pixels);
        // A gradient of zero everywhere stays zero.
        direction += p_.balance ? ascent / ascent.abs().mean({1, 2, 3}, true).clamp_min(1e-30) : ascent;
      }
      // The mean over surrogates is the sum times a constant, which does not change the sign.
      pixels = project(pixels + p_.step * sign_of(direction));
    }
    return {pixels, std::vector<std::int64_t>(faces.ids.size(), p_.steps)};
  }
  Parameters p_;
};

}  // namespace

std::shared_ptr<Attack> make_pgd(Spec& spec, AttackSettings settings) {
  Pgd::Parameters p;
  p.epsilon = spec.number("epsilon", 0, 1, 8.0 / 255);
  p.step = spec.number("step", 0, 1, 0.0025);
  p.steps = spec.integer("steps", 0, 100000, 20);
  p.random_start = spec.flag("random_start", true);
  p.balance = spec.flag("balance", true);
  return std::make_shared<Pgd>(std::move(settings), p);
}

}  // namespace facepoison
