// Sources. Softmax: cross-entropy, as FaceCure trains. Triplet: Schroff et al., FaceNet, CVPR 2015. CosFace: Wang et
// al., CVPR 2018. ArcFace: Deng et al., CVPR 2019. MagFace: Meng et al., CVPR 2021. Contrastive: Radford et al., CLIP,
// ICML 2021, its symmetric loss.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "facepoison/error.hpp"
#include "facepoison/losses.hpp"

namespace facepoison {
namespace {

torch::Tensor unit_rows(const torch::Tensor& rows) { return rows / rows.norm(2, 1, true).clamp_min(1e-12); }

torch::Tensor learnt(const torch::Tensor& start, torch::Device device) {
  return start.detach().to(device).set_requires_grad(true);
}

// Class centres on a sphere, from a stream of their own.
torch::Tensor centres(std::int64_t people, std::int64_t dimension, Seed seed) {
  auto generator = at::detail::createCPUGenerator(Stream(seed, "centres").bits());
  return torch::randn({people, dimension}, generator).mul(0.1).set_requires_grad(true);
}

// Cross-entropy over scale·cos θ, where a margin makes the correct class harder. `with_margin` gets the correct
// classes' cosines (B) and the embeddings' lengths (B).
class MarginLoss : public Loss {
 public:
  MarginLoss(std::int64_t people, std::int64_t dimension, Seed seed, double scale)
      : centres_(centres(people, dimension, seed)), scale_(scale) {}
  std::vector<torch::Tensor> parameters() override { return {centres_}; }
  void to(torch::Device device) override { centres_ = learnt(centres_, device); }
  torch::Tensor operator()(const torch::Tensor& embeddings, const torch::Tensor& labels) override {
    const auto cosines = unit_rows(embeddings).matmul(unit_rows(centres_).t());
    const auto index = labels.unsqueeze(1);
    const auto lengths = embeddings.norm(2, 1);
    const auto right = with_margin(cosines.gather(1, index).squeeze(1).clamp(-1 + 1e-6, 1 - 1e-6), lengths);
    return at::cross_entropy_loss(scale_ * cosines.scatter(1, index, right.unsqueeze(1)), labels) + penalty(lengths);
  }

 protected:
  virtual torch::Tensor with_margin(const torch::Tensor& cosines, const torch::Tensor& lengths) const = 0;
  virtual torch::Tensor penalty(const torch::Tensor& lengths) const { return torch::zeros({}, lengths.options()); }

 private:
  torch::Tensor centres_;
  double scale_;
};

// cos(θ + m). Beyond θ = π − m, where it would rise again, the linear continuation of the authors' code.
torch::Tensor angular(const torch::Tensor& cosines, const torch::Tensor& margins) {
  const auto moved = cosines * margins.cos() - (1 - cosines.square()).sqrt() * margins.sin();
  return torch::where(cosines > -margins.cos(), moved, cosines - margins.sin() * margins);
}

class CosFace final : public MarginLoss {
 public:
  CosFace(std::int64_t people, std::int64_t dimension, Seed seed, double scale, double margin)
      : MarginLoss(people, dimension, seed, scale), margin_(margin) {}

 private:
  torch::Tensor with_margin(const torch::Tensor& cosines, const torch::Tensor&) const override {
    return cosines - margin_;
  }
  double margin_;
};

class ArcFace final : public MarginLoss {
 public:
  ArcFace(std::int64_t people, std::int64_t dimension, Seed seed, double scale, double margin)
      : MarginLoss(people, dimension, seed, scale), margin_(margin) {}

 private:
  torch::Tensor with_margin(const torch::Tensor& cosines, const torch::Tensor&) const override {
    return angular(cosines, torch::full_like(cosines, margin_));
  }
  double margin_;
};

class Softmax final : public Dense {
 public:
  using Dense::Dense;
  torch::Tensor operator()(const torch::Tensor& embeddings, const torch::Tensor& labels) override {
    return at::cross_entropy_loss(scores(embeddings), labels);
  }
};

// Binary cross-entropy over one number; labels are 1 for a perturbed picture and 0 for a clean one.
class Cloaked final : public Dense {
 public:
  Cloaked(std::int64_t dimension, Seed seed) : Dense(1, dimension, seed) {}
  torch::Tensor operator()(const torch::Tensor& embeddings, const torch::Tensor& labels) override {
    const auto logits = scores(embeddings).squeeze(1);
    return at::binary_cross_entropy_with_logits(logits, labels.to(logits.scalar_type()));
  }
};

struct Magnitudes {
  double low_length, high_length, low_margin, high_margin, penalty;
};

// A margin that grows with the embedding's length a, and the penalty g(a) = a/u² + 1/a on lengths: good photos get long
// embeddings.
class MagFace final : public MarginLoss {
 public:
  MagFace(std::int64_t people, std::int64_t dimension, Seed seed, double scale, Magnitudes m)
      : MarginLoss(people, dimension, seed, scale), m_(m) {}

 private:
  torch::Tensor clipped(const torch::Tensor& lengths) const { return lengths.clamp(m_.low_length, m_.high_length); }
  torch::Tensor with_margin(const torch::Tensor& cosines, const torch::Tensor& lengths) const override {
    const double slope = (m_.high_margin - m_.low_margin) / (m_.high_length - m_.low_length);
    return angular(cosines, slope * (clipped(lengths) - m_.low_length) + m_.low_margin);
  }
  torch::Tensor penalty(const torch::Tensor& lengths) const override {
    const auto a = clipped(lengths);
    return m_.penalty * (a / (m_.high_length * m_.high_length) + 1 / a).mean();
  }
  Magnitudes m_;
};

// The triplet loss max(0, margin + ‖a − p‖² − ‖a − n‖²) on unit vectors. Semi-hard, as FaceNet: over every pair of one
// person's photos, the negative is the nearest one that is farther than the positive, or, if there is none, the
// farthest. Hard (Hermans et al., 2017): for each photo its farthest positive and its nearest negative.
class Triplet final : public Loss {
 public:
  Triplet(double margin, bool hard) : margin_(margin), hard_(hard) {}
  torch::Tensor operator()(const torch::Tensor& embeddings, const torch::Tensor& labels) override {
    const auto e = unit_rows(embeddings);
    const auto distances = (2 - 2 * e.matmul(e.t())).clamp_min(0);
    const auto same = labels.unsqueeze(0) == labels.unsqueeze(1);
    const auto lost = hard_ ? hard(distances, same) : semi_hard(distances, same);
    return lost.numel() > 0 ? lost.mean() : distances.sum() * 0;
  }

 private:
  torch::Tensor hard(const torch::Tensor& distances, const torch::Tensor& same) const {
    const auto positive = distances.masked_fill(same.logical_not(), -1).amax(1),
               negative = distances.masked_fill(same, 9).amin(1);
    return (margin_ + positive - negative).clamp_min(0);
  }
  torch::Tensor semi_hard(const torch::Tensor& distances, const torch::Tensor& same) const {
    torch::Tensor hardest;  // B×B: for each (anchor, positive) the negative's distance
    {
      const torch::NoGradGuard no_grad;
      const auto far = distances.masked_fill(same, -1);
      const auto choices = distances.unsqueeze(1).expand({-1, same.size(0), -1});  // a, p, n
      const auto allowed = same.logical_not().unsqueeze(1).logical_and(choices > distances.unsqueeze(2));
      const auto nearest = choices.masked_fill(allowed.logical_not(), 1e9).argmin(2);
      hardest = torch::where(allowed.any(2), nearest, far.argmax(1).unsqueeze(1));
    }
    const auto pairs = same.logical_and(torch::eye(same.size(0), same.options()).logical_not());
    return (margin_ + distances - distances.gather(1, hardest)).clamp_min(0).masked_select(pairs);
  }
  double margin_;
  bool hard_;
};

// Cross-entropy between two views of each person: each first view has to match its second view among all second views,
// and the reverse. Each person has two consecutive rows.
class Contrastive final : public Loss {
 public:
  explicit Contrastive(double temperature)
      : log_scale_(torch::full({1}, std::log(1 / temperature)).set_requires_grad(true)) {}
  std::vector<torch::Tensor> parameters() override { return {log_scale_}; }
  void to(torch::Device device) override { log_scale_ = learnt(log_scale_, device); }
  torch::Tensor operator()(const torch::Tensor& embeddings, const torch::Tensor& labels) override {
    const auto views = unit_rows(embeddings).view({-1, 2, embeddings.size(1)});
    const auto scores = log_scale_.exp().clamp_max(100) * views.select(1, 0).matmul(views.select(1, 1).t());
    const auto own = torch::arange(scores.size(0), labels.options());
    return (at::cross_entropy_loss(scores, own) + at::cross_entropy_loss(scores.t(), own)) / 2;
  }

 private:
  torch::Tensor log_scale_;
};

class None final : public Loss {
 public:
  torch::Tensor operator()(const torch::Tensor& embeddings, const torch::Tensor&) override {
    return torch::zeros({}, embeddings.options());
  }
};

// Reads the scale. The authors' 64 is for a hundred thousand people; fewer people need less.
double read_scale(Spec& spec) { return spec.number("scale", 1, 1000, 32); }

}  // namespace

// Initialised as in Keras (Glorot and Bengio, 2010).
Dense::Dense(std::int64_t classes, std::int64_t dimension, Seed seed)
    : weights_(torch::empty({classes, dimension})), bias_(torch::zeros({classes}).set_requires_grad(true)) {
  const double reach = std::sqrt(6.0 / static_cast<double>(classes + dimension));
  weights_.uniform_(-reach, reach, at::detail::createCPUGenerator(Stream(seed, "dense layer").bits()));
  weights_.set_requires_grad(true);
}

void Dense::to(torch::Device device) { weights_ = learnt(weights_, device), bias_ = learnt(bias_, device); }

torch::Tensor Dense::scores(const torch::Tensor& embeddings) const { return at::linear(embeddings, weights_, bias_); }

namespace {

MakeLoss read_softmax(Spec&) {
  return [](std::int64_t people, std::int64_t dimension, Seed seed) {
    return std::make_unique<Softmax>(people, dimension, seed);
  };
}

MakeLoss read_triplet(Spec& spec) {
  const double margin = spec.number("margin", 0, 4, 0.2);
  const bool hard = spec.choice("mining", {"semi-hard", "hard"}, "semi-hard") == "hard";
  return [=](std::int64_t, std::int64_t, Seed) { return std::make_unique<Triplet>(margin, hard); };
}

MakeLoss read_cosface(Spec& spec) {
  const double scale = read_scale(spec), margin = spec.number("margin", 0, 2, 0.35);
  return [=](std::int64_t people, std::int64_t dimension, Seed seed) {
    return std::make_unique<CosFace>(people, dimension, seed, scale, margin);
  };
}

MakeLoss read_arcface(Spec& spec) {
  const double scale = read_scale(spec), margin = spec.number("margin", 0, std::numbers::pi / 2, 0.5);
  return [=](std::int64_t people, std::int64_t dimension, Seed seed) {
    return std::make_unique<ArcFace>(people, dimension, seed, scale, margin);
  };
}

MakeLoss read_magface(Spec& spec) {
  const double scale = read_scale(spec);
  Magnitudes m{};
  m.low_length = spec.number("low_length", 0.01, 1e4, 10);
  m.high_length = spec.number("high_length", 0.01, 1e4, 110);
  m.low_margin = spec.number("low_margin", 0, std::numbers::pi / 2, 0.45);
  m.high_margin = spec.number("high_margin", 0, std::numbers::pi / 2, 0.8);
  m.penalty = spec.number("penalty", 0, 1e6, 35);
  if (m.low_length >= m.high_length)
    spec.fail("high_length", concat("found ", m.high_length, ", expected more than low_length, ", m.low_length));
  return [=](std::int64_t people, std::int64_t dimension, Seed seed) {
    return std::make_unique<MagFace>(people, dimension, seed, scale, m);
  };
}

MakeLoss read_contrastive(Spec& spec) {
  const double temperature = spec.number("temperature", 1e-3, 10, 0.07);
  return [=](std::int64_t, std::int64_t, Seed) { return std::make_unique<Contrastive>(temperature); };
}

MakeLoss read_none(Spec&) {
  return [](std::int64_t, std::int64_t, Seed) { return std::make_unique<None>(); };
}

MakeLoss read_cloaked(Spec&) {
  return [](std::int64_t, std::int64_t dimension, Seed seed) { return std::make_unique<Cloaked>(dimension, seed); };
}

}  // namespace

const std::vector<LossRow>& loss_registry() {
  static const std::vector<LossRow> rows = {
      {"softmax", "cross-entropy over a dense layer to the people", Task::recogniser, false, read_softmax},
      {"triplet", "FaceNet's, with negatives from the batch", Task::recogniser, true, read_triplet},
      {"cosface", "additive cosine margin", Task::recogniser, false, read_cosface},
      {"arcface", "additive angular margin", Task::recogniser, false, read_arcface},
      {"magface", "angular margin that grows with the embedding's length", Task::recogniser, false, read_magface},
      {"contrastive", "CLIP's, between two photos of each person", Task::recogniser, true, read_contrastive},
      {"none", "no identity loss: only the keys keep and pair define what is learnt", Task::recogniser, false,
       read_none},
      {"cloaked", "perturbed or not: cross-entropy over a dense layer to one number", Task::cloak_detector, false,
       read_cloaked},
  };
  return rows;
}

LossChoice LossChoice::from(Spec& spec, Task task) {
  std::vector<std::string> names;
  for (const auto& row : loss_registry())
    if (row.task == task) names.push_back(row.name);
  const auto kind = spec.choice("kind", names);
  const auto& rows = loss_registry();
  const auto& row = *std::find_if(rows.begin(), rows.end(), [&](const auto& one) { return one.name == kind; });
  return {kind, row.compares_photos, row.read(spec)};
}

}  // namespace facepoison
