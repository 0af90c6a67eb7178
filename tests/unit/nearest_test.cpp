// Classifiers against a plain search in double, and swaps against a new prediction.
#include <cmath>

#include "facepoison/classifier.hpp"
#include "support/support.hpp"

namespace facepoison {
namespace {

using namespace testing;

using Labels = std::vector<std::int64_t>;

double distance(const float* a, const float* b, std::int64_t dimension, bool cosine) {
  double squares = 0, dot = 0, aa = 0, bb = 0;
  for (std::int64_t i = 0; i < dimension; ++i) {
    const double x = a[i], y = b[i];
    squares += (x - y) * (x - y), dot += x * y, aa += x * x, bb += y * y;
  }
  return cosine ? 1 - dot / std::sqrt(aa * bb) : std::sqrt(squares);
}

Prediction brute_force(const torch::Tensor& gallery, const Labels& labels, const torch::Tensor& probes, bool cosine) {
  Prediction out;
  const std::int64_t dimension = gallery.size(1);
  for (std::int64_t p = 0; p < probes.size(0); ++p) {
    std::int64_t best = 0;
    double least = INFINITY;
    for (std::int64_t g = 0; g < gallery.size(0); ++g) {
      const double d = distance(gallery.data_ptr<float>() + g * dimension, probes.data_ptr<float>() + p * dimension,
                                dimension, cosine);
      if (d < least) least = d, best = g;
    }
    out.labels.push_back(labels[static_cast<std::size_t>(best)]);
    out.distances.push_back(least);
  }
  return out;
}

void expect_brute_force(const torch::Tensor& gallery, const Labels& labels, const torch::Tensor& probes) {
  for (const bool cosine : {false, true}) {
    const auto expected = brute_force(gallery, labels, probes, cosine);
    const auto found = make_classifier(cosine ? "nearest-cosine" : "nearest")->predict(gallery, labels, probes);
    EXPECT_EQ(found.labels, expected.labels) << (cosine ? "cosine" : "Euclidean");
    EXPECT_EQ(found.distances, expected.distances);
  }
}

Labels labels_of(std::int64_t count, std::int64_t people) {
  Labels labels;
  for (std::int64_t i = 0; i < count; ++i) labels.push_back(i * 7 % people);
  return labels;
}

class Nearest : public ::testing::Test {
 protected:
  void SetUp() override { torch::manual_seed(5); }
};

TEST_F(Nearest, IsThatOfAPlainSearch) {
  expect_brute_force(torch::randn({300, 64}), labels_of(300, 20), torch::randn({600, 64}));  // more probes than a block
  expect_brute_force(torch::randn({300, 1}), labels_of(300, 300), torch::randn({50, 1}));
  expect_brute_force(torch::randn({1, 8}), {4}, torch::randn({3, 8}));
  // More rows than a tile, and of one person more than a tile.
  expect_brute_force(torch::randn({5000, 64}), labels_of(5000, 70), torch::randn({300, 64}));
  expect_brute_force(torch::randn({5000, 16}), labels_of(5000, 2), torch::randn({20, 16}));
}

TEST_F(Nearest, TellsNearTiesApart) {
  const auto centre = torch::randn({40, 128});
  const auto probes = centre + 0.5 * torch::randn({40, 128});
  std::vector<torch::Tensor> rows;
  for (int copy = 0; copy < 6; ++copy) rows.push_back(centre + 1e-7 * torch::randn({40, 128}));
  expect_brute_force(torch::cat(rows), labels_of(240, 240), probes);
}

TEST_F(Nearest, TellsNearTiesApartFarFromTheOrigin) {
  const auto centre = 100 + torch::randn({40, 128});
  std::vector<torch::Tensor> rows;
  for (int copy = 0; copy < 6; ++copy) rows.push_back(centre + 1e-4 * torch::randn({40, 128}));
  expect_brute_force(torch::cat(rows), labels_of(240, 240), centre + 0.01 * torch::randn({40, 128}));
}

TEST_F(Nearest, WorksForAnyNorm) {
  for (const double scale : {1e-22, 1e-6, 1e6, 1e15})
    expect_brute_force(scale * torch::randn({60, 32}), labels_of(60, 6), scale * torch::randn({40, 32}));
  const auto mixed = torch::randn({60, 32}) * torch::logspace(-3, 3, 60).unsqueeze(1);
  expect_brute_force(mixed, labels_of(60, 6), torch::randn({40, 32}));
}

TEST_F(Nearest, WorksWhereAFloatCannotHoldTheSquares) {
  expect_brute_force(1e25 * torch::randn({60, 32}), labels_of(60, 6), 1e25 * torch::randn({40, 32}));
}

TEST_F(Nearest, GivesTiesToTheLowestRow) {
  auto gallery = torch::randn({3, 16});
  gallery = torch::cat({gallery, gallery, gallery});
  const Labels labels = {8, 7, 6, 5, 4, 3, 2, 1, 0};
  for (const char* name : {"nearest", "nearest-cosine"})
    EXPECT_EQ(make_classifier(name)->predict(gallery, labels, gallery.narrow(0, 0, 3)).labels, (Labels{8, 7, 6}))
        << name;
}

TEST_F(Nearest, NeverAnswersWithNobody) {  // a zero has no direction: refused, or one of the people
  const auto somebody_or_refused = [](const std::string& name, const torch::Tensor& gallery,
                                      const torch::Tensor& probes) {
    try {
      const auto labels = make_classifier(name)->predict(gallery, {0, 1, 2}, probes).labels;
      EXPECT_EQ(labels.size(), 3u) << name;
      for (const auto label : labels) EXPECT_TRUE(label >= 0 && label < 3) << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Exit::input) << name;
    }
  };
  const auto zeros = torch::zeros({3, 4}), gallery = torch::randn({3, 4});
  for (const auto& row : classifier_registry()) {
    somebody_or_refused(row.name, gallery, zeros);
    somebody_or_refused(row.name, zeros, gallery);
  }
}

TEST(Centroid, AveragesEachPerson) {
  const auto gallery = torch::tensor({{0.f, 0.f}, {10.f, 0.f}, {4.f, 3.f}});
  const auto found = make_classifier("centroid")->predict(gallery, {1, 1, 0}, torch::tensor({{5.f, 1.f}, {4.f, 2.5f}}));
  EXPECT_EQ(found.labels, (Labels{1, 0}));
  EXPECT_NEAR(found.distances[0], 1, 1e-6);  // from the mean (5, 0)
}

TEST(Classifiers, RefuseWhatCannotBeCompared) {
  const auto gallery = torch::randn({3, 4}), probes = torch::randn({2, 4});
  for (const auto& row : classifier_registry()) {
    const auto classifier = make_classifier(row.name);
    auto broken = gallery.clone(), lost = probes.clone();
    broken[1][2] = NAN, lost[0][0] = INFINITY;
    for (const auto& [g, l, p] :
         {std::tuple{gallery, Labels{0, 1, 2}, torch::randn({2, 5})},
          std::tuple{torch::empty({0, 4}), Labels{}, probes}, std::tuple{gallery, Labels{0, 1}, probes},
          std::tuple{broken, Labels{0, 1, 2}, probes}, std::tuple{gallery, Labels{0, 1, 2}, lost}})
      EXPECT_EQ(caught([&, g = g, l = l, p = p] { classifier->predict(g, l, p); }).code, Exit::input) << row.name;
    EXPECT_TRUE(classifier->predict(gallery, {0, 1, 2}, torch::empty({0, 4})).labels.empty()) << row.name;
  }
}

TEST(Classifiers, NameTheNearestKnownOne) {
  const auto [code, message] = caught([] { make_classifier("neerest"); });
  EXPECT_EQ(code, Exit::usage);
  EXPECT_TRUE(contains(message, "neerest") && contains(message, "did you mean nearest?")) << message;
}

void expect_as_predicted(const torch::Tensor& gallery, const Labels& labels, const std::vector<Swap>& swaps,
                         const torch::Tensor& probes) {
  const auto before = gallery.clone();
  for (const auto& row : classifier_registry()) {
    const auto classifier = make_classifier(row.name);
    const auto found = classifier->predict_swapped(gallery, labels, swaps, probes);
    ASSERT_EQ(found.size(), swaps.size());
    for (std::size_t s = 0; s < swaps.size(); ++s) {
      const auto expected =
          classifier->predict(gallery.index_copy(0, torch::tensor(swaps[s].rows), swaps[s].features), labels, probes);
      EXPECT_EQ(found[s].labels, expected.labels) << row.name << ", swap " << s;
      // An iterative solver ends at slightly different numbers from another start.
      for (std::size_t i = 0; i < expected.distances.size(); ++i)
        EXPECT_NEAR(found[s].distances[i], expected.distances[i], row.name == "linear" ? 1e-5 : 0)
            << row.name << ", swap " << s << ", probe " << i;
    }
  }
  EXPECT_TRUE(torch::equal(gallery, before)) << "the clean gallery was changed";
}

TEST(Swaps, AreAsPredictingAnew) {
  torch::manual_seed(6);
  const auto gallery = torch::randn({80, 24}), probes = torch::randn({120, 24});
  const Labels labels = labels_of(80, 8);
  std::vector<Swap> swaps;
  for (std::int64_t person = 0; person < 8; ++person) {  // whole people, near the probes and far away
    Swap swap;
    for (std::int64_t i = 0; i < 80; ++i)
      if (labels[static_cast<std::size_t>(i)] == person) swap.rows.push_back(i);
    swap.features = torch::randn({static_cast<std::int64_t>(swap.rows.size()), 24}) * (person % 2 ? 0.3 : 5);
    swaps.push_back(swap);
  }
  swaps.push_back({{swaps[3].rows[0], swaps[3].rows[4]}, probes.narrow(0, 0, 2).clone()});  // a part of one person
  swaps.push_back({{0, 1, 2, 50}, torch::randn({4, 24})});                                  // parts of several
  expect_as_predicted(gallery, labels, swaps, probes);
}

TEST(Swaps, AreAsPredictingAnewForOnePersonOnly) {
  torch::manual_seed(7);
  const std::vector<Swap> swaps = {{{0, 1, 2}, torch::randn({3, 6})}, {{1}, torch::randn({1, 6})}};
  expect_as_predicted(torch::randn({3, 6}), {0, 0, 0}, swaps, torch::randn({10, 6}));
}

TEST(Swaps, KeepTiesAtTheLowestRow) {
  torch::manual_seed(8);
  auto gallery = torch::randn({6, 6});
  const auto probes = gallery.narrow(0, 0, 6).clone();
  const std::vector<Swap> swaps = {{{0, 3}, gallery.index_select(0, torch::tensor({1, 2}))},
                                   {{4, 5}, gallery.index_select(0, torch::tensor({0, 1}))}};
  expect_as_predicted(gallery, {0, 1, 2, 0, 3, 3}, swaps, probes);
}

TEST(Swaps, AnswerAloneAsBesideOthers) {
  torch::manual_seed(9);
  const auto gallery = torch::randn({600, 12}), probes = torch::randn({40, 12});
  const Labels labels = labels_of(600, 6);
  std::vector<Swap> swaps;
  for (const std::int64_t person : {0, 2, 5}) {
    Swap swap;
    for (std::int64_t i = 0; i < 600; ++i)
      if (labels[static_cast<std::size_t>(i)] == person) swap.rows.push_back(i);
    swap.features = torch::randn({static_cast<std::int64_t>(swap.rows.size()), 12});
    swaps.push_back(swap);
  }
  for (const auto& row : classifier_registry()) {
    const auto classifier = make_classifier(row.name);
    const auto trained = classifier->train(gallery, labels, probes);
    const auto together = trained->predict_swapped(swaps);
    for (std::size_t s = 0; s < swaps.size(); ++s) {
      const auto alone = trained->predict_swapped({&swaps[s], 1}).front();
      EXPECT_EQ(together[s].labels, alone.labels) << row.name;
      EXPECT_EQ(together[s].distances, alone.distances) << row.name;
    }
  }
}

TEST(Swaps, RefuseANonFiniteFeature) {
  for (const auto& row : classifier_registry()) {
    const Swap swap{{0}, torch::full({1, 4}, NAN)};
    EXPECT_EQ(caught([&] {
                make_classifier(row.name)->predict_swapped(torch::randn({2, 4}), {0, 1}, {&swap, 1},
                                                           torch::randn({2, 4}));
              }).code,
              Exit::input)
        << row.name;
  }
}

}  // namespace
}  // namespace facepoison
