#include <cmath>

#include "facepoison/losses.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

// Three people, four dimensions, and embeddings that are not near any person.
struct Case {
  torch::Tensor embeddings = torch::tensor(
      {{2.0f, 1.0f, 0.0f, 0.5f}, {-1.0f, 0.5f, 3.0f, 0.0f}, {0.1f, -2.0f, 0.3f, 1.0f}, {1.0f, 1.0f, 1.0f, 1.0f}});
  torch::Tensor labels = torch::tensor({0, 1, 2, 1}, torch::kInt64);
};

std::unique_ptr<Loss> made(const Json& json) {
  Spec spec(json, "test");
  auto loss = LossChoice::from(spec).make(3, 4, 7);
  spec.finish();
  return loss;
}

// −log softmax of scale·(the right class's value moved, the others plain), in double and one photo at a time.
double by_hand(const Case& c, const torch::Tensor& centres, double scale,
               const std::function<double(double, double)>& move) {
  double sum = 0;
  for (std::int64_t n = 0; n < 4; ++n) {
    const auto e = c.embeddings[n].to(torch::kFloat64);
    const auto label = c.labels[n].item<std::int64_t>();
    double total = 0, right = 0;
    for (std::int64_t p = 0; p < 3; ++p) {
      const auto w = centres[p].detach().to(torch::kFloat64);
      double value = (e.dot(w) / (e.norm() * w.norm())).item<double>();
      if (p == label) value = move(value, e.norm().item<double>());
      total += std::exp(scale * value);
      if (p == label) right = scale * value;
    }
    sum += std::log(total) - right;
  }
  return sum / 4;
}

TEST(Losses, CosFaceTakesItsMarginFromTheRightCosine) {
  const Case c;
  const auto loss = made({{"kind", "cosface"}, {"scale", 8}, {"margin", 0.3}});
  EXPECT_NEAR((*loss)(c.embeddings, c.labels).item<double>(),
              by_hand(c, loss->parameters()[0], 8, [](double cosine, double) { return cosine - 0.3; }), 1e-4);
}

TEST(Losses, ArcFaceAddsItsMarginToTheRightAngle) {
  const Case c;
  const auto loss = made({{"kind", "arcface"}, {"scale", 8}, {"margin", 0.5}});
  const auto move = [](double cosine, double) {
    const double angle = std::acos(cosine);
    return angle + 0.5 < M_PI ? std::cos(angle + 0.5) : cosine - std::sin(0.5) * 0.5;
  };
  EXPECT_NEAR((*loss)(c.embeddings, c.labels).item<double>(), by_hand(c, loss->parameters()[0], 8, move), 1e-4);
}

TEST(Losses, MagFacesMarginGrowsWithTheLengthAndLengthsArePaidFor) {
  const Case c;
  const auto loss = made({{"kind", "magface"},
                          {"scale", 8},
                          {"low_length", 1},
                          {"high_length", 3},
                          {"low_margin", 0.1},
                          {"high_margin", 0.5},
                          {"penalty", 2}});
  double penalty = 0;
  for (std::int64_t n = 0; n < 4; ++n) {
    const double a = std::clamp(c.embeddings[n].norm().item<double>(), 1.0, 3.0);
    penalty += 2 * (a / 9 + 1 / a) / 4;
  }
  const auto move = [](double cosine, double length) {
    return std::cos(std::acos(cosine) + 0.1 + 0.2 * (std::clamp(length, 1.0, 3.0) - 1));
  };
  EXPECT_NEAR((*loss)(c.embeddings, c.labels).item<double>(), by_hand(c, loss->parameters()[0], 8, move) + penalty,
              1e-4);
}

TEST(Losses, TripletTakesTheNearestNegativeBeyondThePositive) {
  // On the unit circle, angles in degrees: person 0 at 0 and 40, person 1 at 30, 60 and 90.
  std::vector<float> xy;
  for (const double degrees : {0, 40, 30, 60, 90})
    xy.push_back(static_cast<float>(3 * std::cos(degrees * M_PI / 180))),
        xy.push_back(static_cast<float>(3 * std::sin(degrees * M_PI / 180)));
  const auto embeddings = torch::tensor(xy).view({5, 2});
  const auto d = [](double a, double b) { return 2 - 2 * std::cos((a - b) * M_PI / 180); };
  const double margin = 0.2;
  const auto lost = [&](double anchor, double positive, double negative) {
    return std::max(0.0, margin + d(anchor, positive) - d(anchor, negative));
  };
  // anchor, positive, negative: the nearest beyond the positive, or the farthest where all are nearer.
  const double sum = lost(0, 40, 60) + lost(40, 0, 90) + lost(30, 60, 0) + lost(30, 90, 0) + lost(60, 30, 0) +
                     lost(60, 90, 0) + lost(90, 30, 0) + lost(90, 60, 40);
  EXPECT_NEAR(
      (*made({{"kind", "triplet"}, {"margin", margin}}))(embeddings, torch::tensor({0, 0, 1, 1, 1}, torch::kInt64))
          .item<double>(),
      sum / 8, 1e-5);
}

TEST(Losses, ContrastiveIsTheCrossEntropyOfFindingOnesPartner) {
  // Unit vectors; the scores between first and second views are 1, 0, 0 / 0, 1, 0 / 0, 0, 1 over the temperature.
  const auto views =
      torch::tensor({1.f, 0.f, 0.f, 2.f, 0.f, 0.f, 0.f, 1.f, 0.f, 0.f, 5.f, 0.f, 0.f, 0.f, 1.f, 0.f, 0.f, 1.f})
          .view({6, 3});
  const auto loss = made({{"kind", "contrastive"}, {"temperature", 0.5}});
  EXPECT_NEAR((*loss)(views, torch::tensor({0, 0, 1, 1, 2, 2}, torch::kInt64)).item<double>(),
              std::log(std::exp(2.0) + 2) - 2, 1e-5);
}

TEST(Losses, GradientsReachTheEmbeddingsAndStayFinite) {
  for (const auto& row : loss_registry()) {
    if (row.task != Task::recogniser || row.name == "none") continue;
    const Case c;
    auto embeddings =
        torch::cat({c.embeddings, c.embeddings.flip(0)}).set_requires_grad(true);  // equal pairs too: distances of zero
    const auto labels = torch::tensor({0, 1, 2, 1, 1, 2, 1, 0}, torch::kInt64);
    Json settings = {{"kind", row.name}};
    if (row.name == "triplet") settings["margin"] = 4;  // so that no triplet is content
    (*made(settings))(embeddings, labels).backward();
    EXPECT_TRUE(embeddings.grad().isfinite().all().item<bool>()) << row.name;
    EXPECT_GT(embeddings.grad().abs().sum().item<double>(), 0) << row.name;
  }
}

// Perturbed or not, by hand: cross-entropy of one number a picture.
TEST(Losses, CloakedIsTheCrossEntropyOfItsLogits) {
  Json settings = {{"kind", "cloaked"}};
  Spec spec(settings, "loss");
  const auto loss = LossChoice::from(spec, Task::cloak_detector).make(2, 3, 0);
  const auto embeddings = torch::tensor({{1.f, 0.f, 2.f}, {0.f, -1.f, 1.f}}).set_requires_grad(true);
  const auto logits = dynamic_cast<const Dense&>(*loss).scores(embeddings).to(torch::kFloat64);
  ASSERT_EQ(logits.sizes(), (torch::IntArrayRef{2, 1}));
  const auto value = (*loss)(embeddings, torch::tensor({0, 1}, torch::kInt64));
  const double clean = logits[0].item<double>(), perturbed = logits[1].item<double>();
  EXPECT_NEAR(value.item<double>(), (std::log1p(std::exp(clean)) + std::log1p(std::exp(-perturbed))) / 2, 1e-6);
  value.backward();
  EXPECT_GT(embeddings.grad().abs().sum().item<double>(), 0);
  EXPECT_EQ(caught([] {
              Spec other(Json{{"kind", "cloaked"}}, "loss");
              LossChoice::from(other);
            }).code,
            Exit::usage);
}

TEST(Losses, BadParametersAreNamed) {
  EXPECT_EQ(caught([] { made({{"kind", "softmaxx"}}); }).code, Exit::usage);
  EXPECT_TRUE(contains(caught([] { made({{"kind", "arcface"}, {"margn", 0.5}}); }).message, "margin"));
  EXPECT_TRUE(contains(caught([] { made({{"kind", "magface"}, {"low_length", 5}, {"high_length", 5}}); }).message,
                       "high_length"));
}

}  // namespace
}  // namespace facepoison::testing
