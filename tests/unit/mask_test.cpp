// Attacks that learn a mask: the hulls of OPOM, the losses, and what a mask does to photos that it was learned from and
// to others.
#include "attacks/mask.hpp"

#include <cmath>

#include "attacks/hull.hpp"
#include "facepoison/quantise.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

torch::Tensor random_matrix(int seed, std::int64_t rows, std::int64_t columns) {
  return torch::randn({rows, columns}, at::detail::createCPUGenerator(static_cast<std::uint64_t>(seed)),
                      torch::kFloat64);
}

TEST(Hull, SimplexHasTheNearestNumbers) {
  const auto expect = [](const std::vector<double>& numbers, const std::vector<double>& nearest) {
    const auto found = onto_simplex(numbers);
    ASSERT_EQ(found.size(), nearest.size());
    for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], nearest[i], 1e-12);
  };
  expect({0.3, 0.7}, {0.3, 0.7});
  expect({2, 0.5}, {1, 0});
  expect({0.4, 0.4, -5}, {0.5, 0.5, 0});
  expect({1, 1, 1, 1}, {0.25, 0.25, 0.25, 0.25});
  expect({-3}, {1});
}

TEST(Hull, AffineWeightsSolveTheEquationsOfAMinimum) {
  const auto vectors = random_matrix(1, 4, 6), points = random_matrix(2, 3, 6);
  // The slope of the square distance is the same in all weights, and these sum to 1.
  auto equations = torch::ones({5, 5}, torch::kFloat64), right = torch::ones({5, 3}, torch::kFloat64);
  equations.narrow(0, 0, 4).narrow(1, 0, 4).copy_(vectors.matmul(vectors.t()));
  equations[4][4] = 0;
  right.narrow(0, 0, 4).copy_(vectors.matmul(points.t()));
  const auto expected = at::linalg_solve(equations, right).narrow(0, 0, 4).t();
  EXPECT_TRUE(at::allclose(affine_weights(vectors, points), expected, 1e-8, 1e-8));
  // A vector that is there twice does not change the nearest point.
  const auto twice = torch::cat({vectors, vectors.narrow(0, 1, 1)});
  EXPECT_TRUE(at::allclose(affine_weights(twice, points).matmul(twice), expected.matmul(vectors), 1e-6, 1e-6));
  EXPECT_TRUE(torch::equal(affine_weights(vectors.narrow(0, 0, 1), points), torch::ones({3, 1}, torch::kFloat64)));
}

TEST(Hull, ConvexWeightsAreThoseOfATrianglesNearestPoint) {
  const auto triangle = torch::tensor({{0.f, 0.f}, {1.f, 0.f}, {0.f, 1.f}}),
             points = torch::tensor({{1.f, 1.f}, {-1.f, -1.f}, {.2f, .3f}, {.5f, -3.f}}),
             expected = torch::tensor({{0.f, .5f, .5f}, {1.f, 0.f, 0.f}, {.5f, .2f, .3f}, {.5f, .5f, 0.f}});
  EXPECT_LT((convex_weights(triangle, points) - expected).abs().max().item<float>(), 1e-5);
}

TEST(MaskLoss, ClosenessIsTheGramDeterminants) {
  for (const double cosine : {0.0, 0.5, 0.99}) {
    const auto two = torch::tensor({{1.0, 0.0}, {cosine, std::sqrt(1 - cosine * cosine)}}, torch::kFloat64);
    EXPECT_NEAR(closeness(two).item<double>(), -std::log(1.0001 * 1.0001 - cosine * cosine + 1e-4), 1e-9);
  }
  const auto alike = (torch::ones({16, 32}) / std::sqrt(32.0)).requires_grad_(true);
  const auto loss = closeness(alike);
  EXPECT_NEAR(loss.item<double>(), -std::log(1e-4), 0.01);
  EXPECT_TRUE(gradient(loss, alike).isfinite().all().item<bool>());
}

TEST(MaskLoss, WeightOfThePenaltyFollowsTheDistance) {
  double weight = 1;
  const auto next = [&](double distance) { return weight = penalty_weight(weight, distance, 0.027, 0.033); };
  EXPECT_EQ(next(0.04), 2);
  EXPECT_EQ(next(0.033), 4);
  EXPECT_EQ(next(0.03), 1);
  EXPECT_EQ(next(0.027), 0.5);
  for (int i = 0; i < 20; ++i) next(0);
  EXPECT_EQ(weight, 1.0 / 256) << "halved as long as it is not below 1/129";
  for (int i = 0; i < 40; ++i) next(1);
  EXPECT_EQ(weight, 256);
}

// Gives access to how slopes are computed.
class SlopeOfMask final : public MaskAttack {
 public:
  using MaskAttack::MaskAttack, MaskAttack::slope;
};

class Masks : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { setenv("FACEPOISON_HOME", FACEPOISON_ROOT, 1); }
  void TearDown() override { unsetenv("FACEPOISON_HOME"); }
  std::shared_ptr<const Attack> make(Json extra) {
    Json request = {
        {"preset", GetParam()},
        {"surrogates",
         {write_tiny_extractor(folder_.path, 1, "a").string(), write_tiny_extractor(folder_.path, 2, "b").string()}}};
    request.update(extra);
    return make_attack(request, {});
  }
  // Six photos of one person.
  static Faces photos(int first = 0) {
    Faces faces;
    std::vector<torch::Tensor> pixels;
    for (int n = first; n < first + 6; ++n) {
      pixels.push_back(to_tensor(draw_photo(1, n)));
      faces.ids.push_back(concat("ann/", n, ".png"));
      faces.people.emplace_back("ann");
    }
    faces.pixels = torch::cat(pixels);
    return faces;
  }
  static Faces masks_for(const Faces& faces, const torch::Tensor& mask) {
    Faces masks = faces;
    masks.pixels = mask.expand_as(faces.pixels);
    return masks;
  }
  std::string length() const { return GetParam().starts_with("opom") ? "steps" : "epochs"; }
  TempFolder folder_;
};

TEST_P(Masks, StayWithinTheirBoundAndDependOnSeedAndPerson) {
  const auto attack = make({{length(), 4}, {"epsilon", 3.5 / 255}});
  auto faces = photos();
  const auto mask = attack->fit(faces, 1);
  EXPECT_EQ(mask.sizes(), (std::vector<std::int64_t>{3, 48, 48}));
  EXPECT_LE(mask.abs().max().item<double>(), 3.0 / 255 + 1e-7) << "whole grey levels";
  EXPECT_TRUE(torch::equal(mask, attack->fit(faces, 1)));
  EXPECT_FALSE(torch::equal(mask, attack->fit(faces, 2)));
  faces.people.assign(6, "bob");
  EXPECT_FALSE(torch::equal(mask, attack->fit(faces, 1)));
}

TEST_P(Masks, AreAddedToPhotosNeverSeen) {
  const auto attack = make({{length(), 2}});
  const auto mask = attack->fit(photos(), 1);
  const auto others = photos(6);
  const auto out = attack->perturb(others, 1, masks_for(others, mask));
  EXPECT_TRUE(torch::equal(out.pixels, rounded(others.pixels + mask)));
  EXPECT_EQ(out.status, std::vector<Status>(6, Status::ok));
}

TEST_P(Masks, MovePhotosFartherThanTheirStart) {
  const auto farness = [&](int length_of_fit) {
    const auto attack = make({{length(), length_of_fit}, {"epsilon", 4.0 / 255}, {"step", 1.0 / 255}});
    const auto others = photos(6);
    double sum = 0;
    for (const double one : attack->perturb(others, 1, masks_for(others, attack->fit(photos(), 1))).own_measure)
      sum += one;
    return sum;
  };
  EXPECT_GT(farness(12), 3 * farness(0));
}

INSTANTIATE_TEST_SUITE_P(Presets, Masks,
                         ::testing::Values("opom", "opom-fi-uap", "opom-class-center", "opom-affine", "chameleon",
                                           "protego-flat"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

class MaskParts : public Masks {};
INSTANTIATE_TEST_SUITE_P(Opom, MaskParts, ::testing::Values("opom"));

TEST_P(MaskParts, SlopeOfManyPhotosIsThatOfOneBatch) {
  AttackSettings settings;
  settings.surrogates = make(Json::object())->settings().surrogates;
  const auto faces = photos();
  const SlopeOfMask attack(settings, 16.0 / 255);
  const auto mask = 0.02 * random_matrix(3, 3, 48 * 48).view({3, 48, 48}).to(torch::kFloat32);
  const auto found =
      attack.slope(faces, mask, [](std::size_t, const auto& embeddings) { return closeness(embeddings); });
  const auto leaf = mask.clone().requires_grad_(true);
  Faces masked = faces;
  masked.pixels = (faces.pixels + leaf).clamp(0, 1);
  auto loss = torch::zeros({});
  for (const auto& surrogate : settings.surrogates) {
    const auto raw = surrogate->embed(masked);
    loss = loss + closeness(raw / raw.norm(2, 1, true));
  }
  const auto expected = gradient(loss, leaf);
  EXPECT_GT(expected.abs().max().item<float>(), 0);
  EXPECT_TRUE(at::allclose(found, expected, 1e-2, 1e-3 * expected.abs().max().item<double>()));
}

TEST_P(MaskParts, AllHullsOfOnePhotoAreOnePoint) {
  Faces one = photos();
  one.pixels = one.pixels.narrow(0, 0, 1);
  one.ids.resize(1), one.people.resize(1);
  const auto mask = make({{"steps", 4}, {"centre_steps", 1}})->fit(one, 1);
  for (const auto* hull : {"fi-uap", "class-center", "affine"})
    EXPECT_GT((make({{"steps", 4}, {"hull", hull}})->fit(one, 1) == mask).to(torch::kFloat32).mean().item<float>(),
              0.99)
        << hull;
}

TEST_P(MaskParts, HullsOfSeveralPhotosDiffer) {
  std::vector<torch::Tensor> masks;
  for (const auto* hull : {"fi-uap", "class-center", "affine", "convex"})
    masks.push_back(make({{"steps", 8}, {"centre_steps", 1}, {"hull", hull}})->fit(photos(), 1));
  for (std::size_t a = 0; a < masks.size(); ++a)
    for (std::size_t b = 0; b < a; ++b) EXPECT_FALSE(torch::equal(masks[a], masks[b])) << a << ", " << b;
  EXPECT_TRUE(torch::equal(make({{"steps", 8}, {"centre_steps", 8}})->fit(photos(), 1), masks[1]))
      << "the first steps of the convex hull are those of the centre";
}

}  // namespace
}  // namespace facepoison::testing
