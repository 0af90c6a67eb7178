// Pairs and displacements by hand, and answers if a filter left few people or none in the gallery.
#include <algorithm>
#include <cmath>

#include "experiments/measures.hpp"
#include "facepoison/classifier.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

Features of(const torch::Tensor& matrix) {
  return {sha256(concat(matrix)), {}, [matrix] { return matrix; }};
}

// Directions at multiples of a right angle are told apart by 0, 1 and 2.
torch::Tensor rows(const std::vector<std::vector<float>>& numbers) {
  auto matrix = torch::empty({static_cast<std::int64_t>(numbers.size()), 2});
  for (std::size_t i = 0; i < numbers.size(); ++i) matrix[static_cast<std::int64_t>(i)] = torch::tensor(numbers[i]);
  return matrix;
}

// Person 0 has one gallery photo and two probes, person 1 two photos.
GalleryAndProbes two_people() {
  GalleryAndProbes sides;
  sides.gallery = of(rows({{2, 0}, {0, 3}, {-1, 0}}));
  sides.gallery_labels = {0, 1, 1};
  sides.probes = of(rows({{1, 0}, {0, 1}}));
  sides.probe_labels = {0, 0};
  sides.overrides_from = 2;
  return sides;
}

TEST(Pairs, AreByHand) {
  const TrialSwap posted{"ann", 0, {0}, 0, {}, of(rows({{5, 0}}))};
  const auto pairs = compare_pairs(two_people(), {posted});
  ASSERT_EQ(pairs.size(), 1u);
  EXPECT_EQ(pairs[0].person, "ann");
  EXPECT_EQ(pairs[0].genuine, (std::vector<double>{0, 1}));
  EXPECT_EQ(pairs[0].impostors, 4) << "two probes with the other's two photos: 1, 2, 0 and 1";
  EXPECT_EQ(pairs[0].area, (3.5 + 2) / 8) << "0 is nearer than three and ties one, 1 is nearer than one and ties two";
  EXPECT_EQ(pairs[0].accepted, std::vector<double>(false_accept_rates.size(), 0))
      << "no impostor may be as near, and the nearest is at 0";
}

TEST(Pairs, AreNotKnownWithoutImpostors) {
  GalleryAndProbes alone = two_people();
  alone.gallery = of(rows({{2, 0}}));
  alone.gallery_labels = {0};
  const auto pairs = compare_pairs(alone, {{"ann", 0, {0}, 0, {}, of(rows({{5, 0}}))}});
  ASSERT_EQ(pairs.size(), 1u);
  EXPECT_EQ(pairs[0].impostors, 0);
  EXPECT_TRUE(std::isnan(pairs[0].area));
  ASSERT_EQ(pairs[0].accepted.size(), false_accept_rates.size());
  for (const auto number : pairs[0].accepted) EXPECT_TRUE(std::isnan(number));
  const TrialSwap nothing{"ann", 0, {}, 0, {0}, of(rows({}))};
  EXPECT_TRUE(compare_pairs(alone, {nothing}).empty()) << "nothing was posted";
}

TEST(Pairs, OfAnEmbeddingOfZerosHaveNoDirection) {
  const TrialSwap posted{"ann", 0, {0}, 0, {}, of(rows({{0, 0}}))};
  EXPECT_THROW(compare_pairs(two_people(), {posted}), NoDirection);
}

TEST(Displacements, AreByHand) {
  const CleanGallery gallery(rows({{0, 0}, {10, 0}, {3, 8}, {6, 0}}), {7, 7, 2, 2});
  const auto moved = gallery.displacements(rows({{3, 4}, {10, 1}}), {0, 1}, 7);
  ASSERT_EQ(moved.size(), 2u);
  EXPECT_EQ(moved[0].by, 5);
  EXPECT_EQ(moved[0].nearest_other, 4) << "(3, 8), not the own (0, 0)";
  EXPECT_EQ(moved[1].by, 1);
  EXPECT_DOUBLE_EQ(moved[1].nearest_other, std::sqrt(17)) << "(6, 0)";
  const auto alone = CleanGallery(rows({{0, 0}}), {7}).displacements(rows({{3, 4}}), {0}, 7);
  EXPECT_EQ(alone[0].by, 5);
  EXPECT_TRUE(std::isnan(alone[0].nearest_other)) << "nobody else is there";
}

// Four people at right angles, two probes each; the gallery has the first few people.
class FewLeft : public ::testing::TestWithParam<std::string> {
 protected:
  static GalleryAndProbes sides(std::int64_t people) {
    GalleryAndProbes sides;
    auto gallery = torch::empty({2 * people, 2}), probes = torch::empty({8, 2});
    for (std::int64_t p = 0; p < 4; ++p)
      for (std::int64_t k = 0; k < 2; ++k) {
        if (p < people) gallery[2 * p + k] = towards(p) * static_cast<float>(1 + k);
        if (p < people) sides.gallery_labels.push_back(p);
        probes[2 * p + k] = towards(p) * static_cast<float>(2 + k);
        sides.probe_labels.push_back(p);
      }
    sides.gallery = of(gallery), sides.probes = of(probes);
    sides.overrides_from = 8;
    return sides;
  }
  static torch::Tensor towards(std::int64_t person) {
    return torch::tensor(person % 2 ? std::vector<float>{0, person < 2 ? 1.f : -1.f}
                                    : std::vector<float>{person < 2 ? 1.f : -1.f, 0});
  }
  Answers answers(const GalleryAndProbes& sides, const std::vector<TrialSwap>& swaps) {
    ArtifactStore store(folder_ / "store");
    const auto classifier = make_classifier(GetParam());
    const auto made = answer(sides, swaps, *classifier, "test", store);
    const auto again = answer(sides, swaps, *classifier, "test", store);
    EXPECT_EQ(again.trials.size(), made.trials.size());
    for (std::size_t g = 0; g < made.trials.size(); ++g) EXPECT_EQ(again.trials[g].labels, made.trials[g].labels);
    return made;
  }
  using Labels = std::vector<std::int64_t>;
  TempFolder folder_;
};

TEST_P(FewLeft, NobodyIsNamedWhereNobodyIsLeft) {
  const auto found = answers(sides(0), {{"ann", 0, {}, 0, {}, of(rows({}))}});
  EXPECT_EQ(found.trials[0].labels, (Labels{-1, -1}));
  EXPECT_EQ(found.trials[0].ranks, (Labels{0, 0})) << "not enrolled";
  EXPECT_TRUE(std::isnan(found.trials[0].distances[0]));
  EXPECT_EQ(found.trials[0].others, 6);
  EXPECT_EQ(found.trials[0].others_errors, 6);
  EXPECT_EQ(found.everybody.size(), 8u);
  const auto last = answers(sides(1), {{"ann", 0, {}, 0, {0, 1}, of(rows({}))}});
  EXPECT_EQ(last.trials[0].labels, (Labels{-1, -1})) << "the game takes the last photos out";
  EXPECT_EQ(last.everybody[7].label, 0);
}

TEST_P(FewLeft, WhoComesBackWithOneAddedPhotoIsKnown) {
  const TrialSwap back{"dan", 3, {}, 1, {}, of(towards(3).unsqueeze(0) * 2)};
  const auto found = answers(sides(3), {back});
  EXPECT_EQ(found.trials[0].labels, (Labels{3, 3}));
  EXPECT_EQ(found.trials[0].ranks, (Labels{1, 1}));
  EXPECT_EQ(found.trials[0].others_errors, 0);
  for (const std::int64_t people : {0, 1, 2}) {
    const auto few = answers(sides(people), {back});
    EXPECT_EQ(few.trials[0].labels, (Labels{3, 3})) << people;
    EXPECT_EQ(few.trials[0].ranks, (Labels{1, 1})) << people;
    EXPECT_EQ(few.trials[0].others_errors, 6 - 2 * people) << people;
  }
}

INSTANTIATE_TEST_SUITE_P(Classifiers, FewLeft,
                         ::testing::Values("nearest", "nearest-cosine", "centroid",
                                           R"({"classifier": "k-nearest", "k": 1})", "linear"));

}  // namespace
}  // namespace facepoison::testing
