// TIP-IM (Yang et al., ICCV 2021; github.com/ShawnXYang/TIP-IM): moves a photo away from its own embedding and towards
// that of whoever of ten other people is reached best. Each step tries every target: it descends
// ‖f(x′) − f(t)‖² − ‖f(x′) − f(x)‖², with momentum, each gradient divided by its mean absolute value, by
// α·√(H·W·C) along the gathered gradient of length one, within ±epsilon; α is 1.5·epsilon/steps. The target stays whose
// picture has the largest gain log(1 + maxⱼ exp(‖f(x′) − f(x)‖ − ‖f(x′) − f(tⱼ)‖)). Gradients are those of a canvas
// that is stretched, sheared, shifted and turned a little at random, anew for each step ("projective_input"); the gain
// is that of the canvas as it is. The authors' MMD term is left out; it has the weight 0 in their code.
//
// A photo with ten targets takes 1,111 passes forward and 1,000 backward for each surrogate.
//
// Deviations from the authors' code:
// - Embeddings have length one, and the distances of several surrogates are added, in the gain averaged.
// - Targets are ten other people of the data set, or of `targets`, with a photo of each, drawn for each person. There,
//   the same ten photos are everybody's targets.
// - H·W·C counts what the surrogates see of the canvas, as the authors' crop is all seen.
// - The random change of the canvas is one resampling. There, it is two, and pixels that come partly from outside
//   are 0.
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numbers>

#include "attacks/targets.hpp"

namespace facepoison {
namespace {

// Chooses other people for each person of an album, and a photo of each. The choice depends on the person and on who
// can be chosen, not on the album.
class OtherPeople final : public Companions {
 public:
  OtherPeople(const AttackSettings& settings, std::size_t number, const StagedPhotos& album,
              std::span<const Photo> everybody, Seed seed)
      : album_(album) {
    People people;
    for (const auto& photo : photos_of_targets(settings, everybody))
      if (!photo.test()) people[photo.person].push_back(photo);
    // Of all people of the data set, a person has one fewer to choose from.
    const auto others = people.size() - (settings.targets.empty() && people.size() > 1 ? 1 : 0);
    number = std::min(number, others);
    for (const auto& photo : album_.list())
      if (auto& own = chosen_[photo.person]; own.empty()) {
        own = choose(people, photo.person, number, seed);
        if (own.empty()) throw no_target_for(photo.person, settings);
      }
  }

  std::vector<std::shared_ptr<Stage>> inputs() const override { return {}; }

  Json key(std::size_t first, std::size_t) const override {
    Json all = Json::array();
    for (const auto& photo : of(first)) all.push_back(content_key(photo));
    return all;
  }

  Needs needs(std::size_t first, std::size_t) const override { return {made_in(of(first)), {}}; }

  CompanionFaces read(const ArtifactStore& store) const override {
    People chosen;
    for (const auto& [person, photos] : chosen_) chosen[person] = resolved(photos, store);
    return [chosen = std::move(chosen), album = album_](const auto& rows) {
      std::vector<Photo> all;
      for (const auto row : rows) {
        const auto& own = chosen.at(album.list()[row].person);
        all.insert(all.end(), own.begin(), own.end());
      }
      return load_faces(all);
    };
  }

 private:
  using People = std::map<std::string, std::vector<Photo>>;

  // Where there are too few others, the first ones come again, with photos that are drawn anew.
  static std::vector<Photo> choose(const People& people, const std::string& self, std::size_t number, Seed seed) {
    std::vector<const std::vector<Photo>*> others;
    for (const auto& [person, photos] : people)
      if (person != self) others.push_back(&photos);
    std::vector<Photo> chosen;
    if (others.empty()) return chosen;
    Stream stream(seed, "tip-im", self);
    stream.shuffle(others);
    for (std::size_t i = 0; i < number; ++i) {
      const auto& photos = *others[i % others.size()];
      chosen.push_back(photos[stream.below(photos.size())]);
    }
    return chosen;
  }

  const std::vector<Photo>& of(std::size_t row) const { return chosen_.at(album_.list()[row].person); }

  StagedPhotos album_;
  People chosen_;
};

double standard_normal(Stream& stream) {
  // Box and Muller's; 1 − u keeps the logarithm finite.
  const double radius = std::sqrt(-2 * std::log(1 - stream.uniform()));
  return radius * std::cos(2 * std::numbers::pi * stream.uniform());
}

// Where each pixel of a photo's randomly changed canvas lies in the canvas, in grid_sampler's units: N×H×W×2. An affine
// map near the identity, after a small turn; each photo has its own stream.
torch::Tensor random_views(std::vector<Stream>& streams, const torch::Tensor& pixels) {
  auto maps = torch::empty({pixels.size(0), 2, 3}, torch::kFloat32);
  auto map = maps.accessor<float, 3>();
  for (std::size_t n = 0; n < streams.size(); ++n) {
    auto& stream = streams[n];
    const auto deviation = [&] { return 0.01 + 0.09 * stream.uniform(); };
    const double of_map = deviation(), of_angle = deviation();
    double m[2][3] = {{1, 0, 0}, {0, 1, 0}};
    for (auto& row : m)
      for (auto& number : row) number += of_map * standard_normal(stream);
    const double angle = of_angle * standard_normal(stream), c = std::cos(angle), s = std::sin(angle);
    for (std::int64_t row = 0; row < 2; ++row) {
      auto out = map[static_cast<std::int64_t>(n)][row];
      out[0] = static_cast<float>(m[row][0] * c - m[row][1] * s);
      out[1] = static_cast<float>(m[row][0] * s + m[row][1] * c);
      out[2] = static_cast<float>(m[row][2]);
    }
  }
  return at::affine_grid_generator(maps.to(pixels.device()), pixels.sizes(), /*align_corners*/ false);
}

class TipIm final : public Attack {
 public:
  struct Parameters {
    double epsilon, momentum;
    std::int64_t steps, people;
    bool projective;
  };

  TipIm(AttackSettings settings, Parameters parameters) : Attack(std::move(settings)), p_(parameters) {
    p_.epsilon = std::floor(p_.epsilon * 255 + 1e-6) / 255;  // as pgd's: rounding to 8 bits cannot exceed it
  }

  bool wants_companions() const override { return true; }

  std::shared_ptr<const Companions> companions(const StagedPhotos& album, std::span<const Photo> everybody, Seed seed,
                                               const EmbedPhotos&) const override {
    return std::make_shared<OtherPeople>(settings(), static_cast<std::size_t>(p_.people), album, everybody, seed);
  }

 private:
  // By surrogate: the photos' own embeddings, N×D, and their K targets', N×K×D.
  struct Goals {
    std::vector<torch::Tensor> own, targets;
    std::int64_t count() const { return targets.front().size(1); }
  };

  torch::Tensor embed(std::size_t s, const Faces& faces) const {
    const auto raw = settings().surrogates[s]->embed(faces);
    return raw / raw.norm(2, 1, true);
  }

  Goals goals_of(const Faces& faces, const Faces& targets) const {
    const torch::NoGradGuard no_grad;
    Goals goals;
    for (std::size_t s = 0; s < settings().surrogates.size(); ++s) {
      goals.own.push_back(embed(s, faces));
      goals.targets.push_back(embed(s, targets).view({faces.size(), -1, goals.own.back().size(1)}));
    }
    return goals;
  }

  // log(1 + maxⱼ exp(‖f(x′) − f(x)‖ − ‖f(x′) − f(tⱼ)‖)), with the mean over surrogates of the distances: N.
  torch::Tensor gain(const Faces& moved, const Goals& goals) const {
    const torch::NoGradGuard no_grad;
    auto nearer = torch::zeros({moved.size(), goals.count()}, moved.pixels.options());
    for (std::size_t s = 0; s < goals.own.size(); ++s) {
      const auto here = embed(s, moved);
      nearer += (here - goals.own[s]).norm(2, 1, true) - (here.unsqueeze(1) - goals.targets[s]).norm(2, 2);
    }
    return (nearer / static_cast<double>(goals.own.size())).amax(1).exp().log1p();
  }

  torch::Tensor own_measure(const Faces& faces, const Faces& targets, const torch::Tensor& pixels) const override {
    Faces moved = faces;
    moved.pixels = pixels;
    return gain(moved, goals_of(faces, targets));
  }

  // For each target the slope of its loss in the pixels, N×3×H×W. `views`: see random_views(), or undefined.
  std::vector<torch::Tensor> slopes(const Faces& moved, const Goals& goals, const torch::Tensor& views) const {
    const auto pixels = moved.pixels.detach().requires_grad_(true);
    std::vector<torch::Tensor> slopes(static_cast<std::size_t>(goals.count()));
    for (std::size_t s = 0; s < goals.own.size(); ++s) {
      Faces seen = moved;
      seen.pixels = views.defined()
                        ? at::grid_sampler(pixels, views, /*bilinear*/ 0, /*zeros outside*/ 0, /*align_corners*/ false)
                        : pixels;
      const auto here = embed(s, seen);
      for (std::size_t j = 0; j < slopes.size(); ++j) {
        const auto target = goals.targets[s].select(1, static_cast<std::int64_t>(j));
        const auto loss = (here - target).square().sum() - (here - goals.own[s]).square().sum();
        // Of one network's pass forward, each target takes a pass backward.
        const auto slope = torch::autograd::grad({loss}, {pixels}, {}, /*retain_graph*/ true)[0];
        slopes[j] = slopes[j].defined() ? slopes[j] + slope : slope;
      }
    }
    return slopes;
  }

  // √(H·W·C) of what the surrogates see: N×1×1×1.
  torch::Tensor root_of_size(const Faces& faces) const {
    auto seen = torch::zeros_like(faces.pixels.narrow(1, 0, 1));
    for (const auto& surrogate : settings().surrogates) seen = torch::max(seen, seen_under(surrogate->card(), faces));
    return (3 * seen.sum({1, 2, 3}, true)).sqrt();
  }

  Found run(const Faces& faces, const Faces& targets, Seed seed) const override {
    constexpr double reach = 1.5, tiny = 1e-30;  // a slope of zero everywhere stays zero
    const auto goals = goals_of(faces, targets);
    const auto length =
        reach * p_.epsilon / static_cast<double>(std::max<std::int64_t>(p_.steps, 1)) * root_of_size(faces);
    std::vector<Stream> streams;
    for (std::size_t n = 0; n < faces.ids.size(); ++n)
      streams.emplace_back(seed, "tip-im view", faces.people[n], faces.ids[n]);
    Faces moved = faces, tried = faces;
    auto gathered = torch::zeros_like(faces.pixels);
    for (std::int64_t i = 0; i < p_.steps; ++i) {
      const auto views = p_.projective ? random_views(streams, faces.pixels) : torch::Tensor();
      auto best = torch::full({faces.size()}, -std::numeric_limits<double>::infinity(), faces.pixels.options()),
           pixels = torch::full_like(faces.pixels, std::numeric_limits<double>::quiet_NaN()), sum = gathered;
      for (const auto& slope : slopes(moved, goals, views)) {
        const auto next = p_.momentum * gathered + slope / slope.abs().mean({1, 2, 3}, true).clamp_min(tiny);
        const auto pushed = moved.pixels - length * next / next.square().sum({1, 2, 3}, true).sqrt().clamp_min(tiny);
        tried.pixels = torch::max(torch::min(pushed, faces.pixels + p_.epsilon), faces.pixels - p_.epsilon).clamp(0, 1);
        const auto found = gain(tried, goals);
        const auto better = found > best, all = better.view({-1, 1, 1, 1});
        best = torch::where(better, found, best);
        pixels = torch::where(all, tried.pixels, pixels);
        sum = torch::where(all, next, sum);
      }
      moved.pixels = pixels;
      gathered = sum;
    }
    return {moved.pixels, std::vector<std::int64_t>(faces.ids.size(), p_.steps)};
  }

  Parameters p_;
};

}  // namespace

std::shared_ptr<Attack> make_tip_im(Spec& spec, AttackSettings settings) {
  TipIm::Parameters p;
  p.epsilon = spec.number("epsilon", 0, 1, 12.0 / 255);
  p.steps = spec.integer("steps", 0, 100000, 100);
  p.momentum = spec.number("momentum", 0, 1, 1);
  p.people = spec.integer("target_people", 1, 1000, 10);
  p.projective = spec.flag("projective_input", true);
  return std::make_shared<TipIm>(std::move(settings), p);
}

}  // namespace facepoison
