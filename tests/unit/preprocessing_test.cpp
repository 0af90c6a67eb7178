// The photos for judging a network's preprocessing, and the judgement.
#include "facepoison/preprocessing.hpp"

#include <map>
#include <set>

#include "support/support.hpp"

namespace facepoison::testing {
namespace {

Dataset made_of(std::size_t people, std::size_t photos) {
  Dataset dataset;
  dataset.folder = "some/where";
  for (std::size_t p = 0; p < people; ++p)
    for (std::size_t n = 0; n < photos; ++n)
      dataset.photos.push_back({.id = concat("p", p, "/", n), .person = concat("p", p)});
  return dataset;
}

std::map<std::string, std::size_t> count_by_person(const std::vector<Photo>& photos) {
  std::map<std::string, std::size_t> counts;
  for (const auto& photo : photos) ++counts[photo.person];
  return counts;
}

std::vector<std::string> ids_of(const std::vector<Photo>& photos) {
  std::vector<std::string> ids;
  for (const auto& photo : photos) ids.push_back(photo.id);
  return ids;
}

TEST(PhotosToCompare, AreTensOfPeopleAndThenMore) {
  const auto few = photos_to_compare(made_of(8, 50), 2000);
  ASSERT_EQ(count_by_person(few).size(), 8u);
  for (const auto& [person, count] : count_by_person(few)) EXPECT_EQ(count, 40u) << person;
  const auto many = photos_to_compare(made_of(300, 50), 2000);
  EXPECT_EQ(count_by_person(many).size(), 200u) << "rather more people than more photos of each";
  EXPECT_EQ(many.size(), 2000u);
  const auto ids = ids_of(many);
  EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), ids.size());
  EXPECT_EQ(ids, ids_of(photos_to_compare(made_of(300, 50), 2000)));
  std::multiset<std::size_t> between;
  for (const auto& [person, count] : count_by_person(photos_to_compare(made_of(20, 50), 301))) between.insert(count);
  EXPECT_EQ(between.count(10), 16u);
  EXPECT_EQ(between.count(21), 1u);
  EXPECT_EQ(between.count(40), 3u);
}

TEST(PhotosToCompare, AreCleanAndRepeatNone) {
  Dataset dataset = made_of(8, 8);
  dataset.photos[3].perturbed_by = "noise";
  dataset.photos[12].duplicate_of = "p0/0";
  for (std::size_t n = 17; n < 24; ++n) dataset.photos[n].duplicate_of = "p0/0";  // but one of the third person's
  const auto counts = count_by_person(photos_to_compare(dataset, 2000));
  EXPECT_EQ(counts.at("p0"), 7u);
  EXPECT_EQ(counts.at("p1"), 7u);
  EXPECT_FALSE(counts.contains("p2")) << "one photo has no pair";
  EXPECT_EQ(counts.size(), 7u);
}

TEST(PhotosToCompare, TooFewAreRefusedWithWhatWasFound) {
  const auto pairs = caught([] { photos_to_compare(made_of(8, 5), 2000); });
  EXPECT_EQ(pairs.code, Exit::input);
  for (const auto* part : {"some/where", "8 people", "700 pairs", "1000 pairs"})
    EXPECT_TRUE(contains(pairs.message, part)) << pairs.message;
  const auto people = caught([] { photos_to_compare(made_of(5, 40), 2000); });
  EXPECT_TRUE(contains(people.message, "found 5 people") && contains(people.message, "expected at least 6 people"))
      << people.message;
  EXPECT_EQ(caught([] { photos_to_compare(made_of(300, 50), 40); }).code, Exit::input) << "by --most-photos";
}

// The first draw is everybody; the others are resamples.
Tried tried(std::size_t changes, std::vector<double> tars) {
  Tried one;
  one.changes.resize(changes);
  one.tars = std::move(tars);
  return one;
}

TEST(BetterThanCard, NeedsAnIntervalAboveZero) {
  const Tried card = tried(0, {0.90, 0.90, 0.92, 0.88});
  EXPECT_EQ(better_than_card({card}), std::nullopt);
  EXPECT_EQ(better_than_card({card, tried(1, {0.95, 0.99, 0.91, 0.95})}), std::nullopt) << "worse in one draw";
  EXPECT_EQ(better_than_card({card, tried(1, {0.95, 0.93, 0.94, 0.97})}), 1u);
  EXPECT_EQ(better_than_card({card, tried(1, {unknown, unknown, unknown, unknown})}), std::nullopt);
  const auto gain = gain_over(card, tried(1, {0.95, 0.93, 0.94, 0.97}));
  EXPECT_NEAR(gain.value, 0.05, 1e-12);
  EXPECT_NEAR(gain.interval.low, 0.02, 1e-3);
  EXPECT_NEAR(gain.interval.high, 0.09, 1e-3);
}

TEST(BetterThanCard, IsTheSimplerOneWhereTheBestCannotBeToldFromIt) {
  const Tried card = tried(0, {0.90, 0.90, 0.92, 0.88});
  const Tried two = tried(2, {0.97, 0.97, 0.97, 0.97}), one = tried(1, {0.96, 0.98, 0.96, 0.95});
  EXPECT_EQ(better_than_card({card, two, one}), 2u);
  EXPECT_EQ(better_than_card({card, two, tried(1, {0.93, 0.94, 0.95, 0.90})}), 1u) << "worse in every draw";
}

}  // namespace
}  // namespace facepoison::testing
