// Verification against counting: expands a draw of people photo by photo and counts each pair.
#include "facepoison/verification.hpp"

#include <algorithm>
#include <cmath>

#include "facepoison/classifier.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

// Ten people with seven photos each and one with three, each near their own direction.
struct Sample {
  torch::Tensor embeddings;
  std::vector<std::int64_t> people;
};

Sample sample() {
  torch::manual_seed(3);
  Sample made;
  std::vector<torch::Tensor> rows;
  for (std::int64_t p = 0; p < 11; ++p) {
    const auto centre = torch::randn({8});
    for (int n = 0; n < (p == 4 ? 3 : 7); ++n) {
      rows.push_back(centre + 0.6 * torch::randn({8}));
      made.people.push_back(p);
    }
  }
  made.embeddings = torch::stack(rows);
  return made;
}

struct Distances {
  std::vector<double> genuine, impostors;
};

// The photos of everybody in the draw, repeated as often as drawn.
Distances written_out(const Sample& sample, const torch::Tensor& times) {
  struct Copy {
    std::int64_t photo, person, copy;
  };
  std::vector<Copy> there;
  for (std::size_t i = 0; i < sample.people.size(); ++i)
    for (int copy = 0; copy < times[sample.people[i]].item<double>(); ++copy)
      there.push_back({static_cast<std::int64_t>(i), sample.people[i], copy});
  Distances found;
  for (std::size_t i = 0; i < there.size(); ++i)
    for (std::size_t j = i + 1; j < there.size(); ++j) {
      const bool same = there[i].person == there[j].person;
      if (same && there[i].copy != there[j].copy) continue;
      const double distance = 1 - at::cosine_similarity(sample.embeddings[there[i].photo].to(torch::kFloat64),
                                                        sample.embeddings[there[j].photo].to(torch::kFloat64), 0)
                                      .item<double>();
      (same ? found.genuine : found.impostors).push_back(distance);
    }
  std::sort(found.impostors.begin(), found.impostors.end());
  return found;
}

double variance(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += (value - mean(values)) * (value - mean(values));
  return sum / static_cast<double>(values.size());
}

TEST(PhotoPairs, MeasureWhatCountingGives) {
  const auto some = sample();
  const auto draws = draws_of_people(11, 6, 0);
  const auto measured = PhotoPairs(some.embeddings, some.people).measure(draws);
  ASSERT_EQ(measured.size(), 6u);
  for (std::int64_t d = 0; d < 6; ++d) {
    const auto pairs = written_out(some, draws[d]);
    ASSERT_GT(pairs.impostors.size(), 1000u) << "so that the threshold is not the nearest one";
    const double threshold = pairs.impostors[pairs.impostors.size() / 1000];
    const auto& found = measured[static_cast<std::size_t>(d)];
    EXPECT_NEAR(found.tar, share_below(pairs.genuine, threshold), 1e-12) << d;
    EXPECT_GT(found.tar, 0.05);
    EXPECT_LT(found.tar, 0.95);
    EXPECT_NEAR(found.d_prime,
                (mean(pairs.impostors) - mean(pairs.genuine)) /
                    std::sqrt((variance(pairs.genuine) + variance(pairs.impostors)) / 2),
                1e-9)
        << d;
  }
}

TEST(PhotoPairs, OfAnEmbeddingOfZerosHaveNoDirection) {
  EXPECT_THROW(PhotoPairs(torch::zeros({2, 3}), {0, 1}), NoDirection);
}

TEST(PhotoPairs, AreNotKnownWithoutImpostors) {
  const auto found = PhotoPairs(torch::eye(3), {0, 0, 0}).measure(torch::ones({1, 1}, torch::kFloat64));
  EXPECT_TRUE(std::isnan(found.front().tar) && std::isnan(found.front().d_prime));
}

TEST(LetThrough, CountsWholePairs) {
  EXPECT_EQ(let_through(1e-3, 999), 0u);
  EXPECT_EQ(let_through(1e-3, 1000), 1u);
  EXPECT_EQ(let_through(1e-3, 29000), 29u) << "not 28, to which 1e-3 rounds";
}

TEST(DrawsOfPeople, AreTheSameEachTimeAndOfAsManyPeople) {
  const auto draws = draws_of_people(7, 50, 1);
  EXPECT_TRUE(torch::equal(draws[0], torch::ones({7}, torch::kFloat64)));
  EXPECT_TRUE(torch::equal(draws.sum(1), torch::full({50}, 7, torch::kFloat64)));
  EXPECT_GT(draws.max().item<double>(), 1);
  EXPECT_TRUE(torch::equal(draws, draws_of_people(7, 50, 1)));
  EXPECT_FALSE(torch::equal(draws, draws_of_people(7, 50, 2)));
  EXPECT_EQ(draws_of_people(2, 100, 1).max().item<double>(), 1) << "one person twice has no impostors";
}

}  // namespace
}  // namespace facepoison::testing
