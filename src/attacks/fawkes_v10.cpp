// Fawkes v1.0 (the code that its authors released in spring 2021, differentiator.py): Adadelta in tanh space moves each
// photo away from its own embedding. A saw-tooth weight holds DSSIM near a threshold, and no pixel moves by more than
// 15 grey levels. Presets fawkes-v1.0-… have the numbers of 21 April 2021, when the code called itself 1.0.1; the
// paper's files most likely came from it. Presets fawkes-v1.0.2-… have those of the last release.
//
// Quirks of that code that are kept, each under its key:
// - The weight of the embedding's term doubles while DSSIM is under budget and halves while it is over; a change of
//   side, or the end of its range, resets it to 1. ("balance")
// - The first step is followed by one of 0.01 along the gradient's sign, and the optimiser's state is reset.
//   ("sign_step")
// - An iterate is scored before its step, so the last step's picture is never scored.
// - If the best iterate is poor, the last scored one is taken if it is better and its DSSIM is under .015. ("rescue")
// - Pixels are truncated to 8 bits. ("rounding")
// - v1.0.2 starts from random numbers, which its code does not seed; here they come from the photo's own stream.
//   ("start")
//
// In bf16 the first steps still run the networks in float32 ("exact_steps"): the start moves an embedding by less than
// bf16 rounds, and the later steps follow the direction of the first.
//
// Deviations from that code:
// - If nothing feasible was found, the code writes a black picture; here the photo keeps its clean pixels and is
//   counted.
// - Pixels are those of the aligned canvas, which surrogates see through their own warp; the code has one crop of 112
//   pixels. DSSIM covers what the surrogates see ("dssim_over": "seen"), as the code's covers its crop.
// - The first step uses the clean picture after tanh, as the later steps do.
// - Surrogates are the user's cards; the code has two extractors with an undocumented architecture.
// - The code's resizing, which stretches contrast, is left out.
#include "attacks/fawkes.hpp"
#include "attacks/search.hpp"
#include "facepoison/dssim.hpp"

namespace facepoison {
namespace {

constexpr double widest = 129;  // the weight stays between 1/(2·widest) and 2·widest

class FawkesV10 final : public Attack {
 public:
  struct Parameters {
    double threshold, rate, penalty, epsilon, start, clip, sign_step, slack, rescue_below, rescue_distance;
    std::int64_t steps, patience, exact_steps;
    bool random_start, balance, normalise, rescue, truncate, seen;
  };

  FawkesV10(AttackSettings settings, Parameters parameters) : Attack(std::move(settings)), p_(parameters) {}

 private:
  torch::Tensor feature(const FeatureExtractor& surrogate, const Faces& faces) const {
    const auto raw = surrogate.embed(faces);
    return p_.normalise ? raw / raw.norm(2, 1, true) : raw;
  }

  std::vector<torch::Tensor> features(const Surrogates& surrogates, const Faces& faces,
                                      const torch::Tensor& pixels) const {
    const torch::NoGradGuard no_grad;
    std::vector<torch::Tensor> own;
    Faces seen = faces;
    seen.pixels = pixels;
    for (const auto& surrogate : surrogates) own.push_back(feature(*surrogate, seen));
    return own;
  }

  // Σ over surrogates of ‖F(x′) − F(x)‖² / ‖F(x)‖: N, larger is farther.
  torch::Tensor distance_from(const std::vector<torch::Tensor>& own, const Surrogates& surrogates,
                              const Faces& faces) const {
    torch::Tensor sum;
    for (std::size_t s = 0; s < own.size(); ++s) {
      const auto distance = (feature(*surrogates[s], faces) - own[s]).square().sum(1) / own[s].norm(2, 1);
      sum = sum.defined() ? sum + distance : distance;
    }
    return sum;
  }

  torch::Tensor own_measure(const Faces& faces, const Faces&, const torch::Tensor& pixels) const override {
    const torch::NoGradGuard no_grad;
    Faces seen = faces;
    seen.pixels = pixels;
    const auto& surrogates = settings().surrogates;
    return distance_from(features(surrogates, faces, faces.pixels), surrogates, seen);
  }

  // Updates the saw-tooth weight. `side` is 1 after a step under budget, −1 after one over it, 0 after any other.
  void rebalance(torch::Tensor& weight, torch::Tensor& side, const torch::Tensor& distance) const {
    const auto under = (distance <= 0.9 * p_.threshold).logical_and(weight <= widest),
               over = (distance >= p_.slack * p_.threshold).logical_and(weight >= 1 / widest);
    const auto one = torch::ones_like(weight);
    const auto doubled = torch::where(side == -1, one, 2 * weight), halved = torch::where(side == 1, one, weight / 2);
    weight = torch::where(under, doubled, torch::where(over, halved, one));
    side = torch::where(under, one, torch::where(over, -one, torch::zeros_like(one)));
  }

  Found run(const Faces& faces, const Faces&, Seed seed) const override {
    Faces moved = faces;
    auto windows = p_.seen ? seen_windows(faces, settings().surrogates) : torch::Tensor();
    auto base = to_tanh(faces.pixels), clean = from_tanh(base);
    const Surrogates* surrogates = &settings().exact;
    auto own = features(*surrogates, faces, clean);
    auto m = p_.random_start ? uniform_noise(faces, seed, "fawkes-v1.0", -p_.start, p_.start)
                             : torch::full_like(base, p_.start);
    Adadelta adadelta(m);
    auto weight = torch::ones({faces.size()}, base.options()), side = torch::ones_like(weight);
    Search search(faces.pixels, p_.patience);
    Last last{torch::full_like(search.best, 0), torch::full_like(search.best, 1), torch::full_like(search.pictures, 0)};
    for (std::int64_t i = 0; i < p_.steps; ++i) {
      if (i == p_.exact_steps && *surrogates != settings().surrogates) {
        surrogates = &settings().surrogates;
        own = features(*surrogates, moved, clean);
      }
      m = m.detach().requires_grad_(true);
      moved.pixels = clean + (from_tanh(base + m) - clean).clamp(-p_.clip, p_.clip);
      const auto away = distance_from(own, *surrogates, moved), distance = dssim(moved.pixels, clean, windows);
      const auto loss = over_budget(distance, p_.threshold, p_.penalty) - weight * away;
      search.note(loss, distance, away);
      search.offer(i, moved.pixels, away, (distance <= p_.slack * p_.threshold).logical_and(away > 0));
      last.keep(search.here, away, distance, moved.pixels);
      const auto slope = gradient(loss.sum(), m);
      m = m.detach() - p_.rate * adadelta.step(slope, p_.epsilon);
      if (i == 0 && p_.sign_step > 0) {
        m = m - p_.sign_step * sign_of(slope);
        adadelta = Adadelta(m);
      }
      if (p_.balance) rebalance(weight, side, distance.detach());
      std::vector<torch::Tensor*> states = {&base,   &clean, &windows,        &m, &adadelta.squares, &adadelta.moves,
                                            &weight, &side,  &moved.landmarks};
      for (auto& feature : own) states.push_back(&feature);
      if (!search.go_on(i + 1, states)) break;
    }
    return finish(search, last);
  }

  // The last scored iterate of each photo, for the whole batch.
  struct Last {
    torch::Tensor away, distance, pictures;
    void keep(const torch::Tensor& here, const torch::Tensor& away_now, const torch::Tensor& distance_now,
              const torch::Tensor& pixels) {
      away.index_copy_(0, here, away_now.detach());
      distance.index_copy_(0, here, distance_now.detach());
      pictures.index_copy_(0, here, pixels.detach());
    }
  };

  Found finish(const Search& search, const Last& last) const {
    Found found{search.pictures, search.iterations(), {}, search.trace()};
    if (p_.rescue) {
      const auto best = search.best.clamp_min(0);  // the code's best starts at 0
      const auto rescued =
          (best < p_.rescue_below).logical_and(last.distance < p_.rescue_distance).logical_and(last.away > best);
      found.pixels = torch::where(rescued.view({-1, 1, 1, 1}), last.pictures, found.pixels);
      const auto on_cpu = rescued.to(torch::kCPU);
      for (std::int64_t n = 0; n < on_cpu.size(0); ++n)
        found.status.push_back(on_cpu[n].item<bool>() ? Status::last_iterate : Status::ok);
    }
    if (p_.truncate) found.pixels = truncated(found.pixels);
    return found;
  }

  Parameters p_;
};

}  // namespace

std::shared_ptr<Attack> make_fawkes_v10(Spec& spec, AttackSettings settings) {
  FawkesV10::Parameters p;
  p.threshold = spec.number("threshold", 0, 1);
  p.steps = spec.integer("steps", 1, 100000);
  p.rate = spec.number("rate", 0, 1e6);
  p.penalty = spec.number("penalty", 0, 1e12, 1e6);
  p.epsilon = spec.number("adadelta_epsilon", 1e-12, 1, 1e-7);
  p.start = spec.number("start_size", 0, 1, 1e-4);
  p.random_start = spec.choice("start", {"constant", "random"}, "constant") == "random";
  p.clip = spec.number("clip", 0, 255, 15) / 255;
  p.sign_step = spec.number("sign_step", 0, 1, 0.01);
  p.slack = spec.number("slack", 1, 10, 1.1);
  p.balance = spec.flag("balance", true);
  p.normalise = spec.flag("normalise", true);
  p.rescue = spec.flag("rescue", true);
  p.rescue_below = spec.number("rescue_below", 0, 1e6, 0.3);
  p.rescue_distance = spec.number("rescue_distance", 0, 1, 0.015);
  p.patience = spec.integer("patience", 0, 100000, 0);
  p.exact_steps = spec.integer("exact_steps", 0, 100000, 8);
  p.seen = seen_from(spec);
  p.truncate = spec.choice("rounding", {"truncate", "nearest"}, "truncate") == "truncate";
  return std::make_shared<FawkesV10>(std::move(settings), p);
}

}  // namespace facepoison
