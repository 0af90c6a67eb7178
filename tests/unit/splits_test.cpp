// Splits: how many and which photos each side gets, and what does not change this.
#include "facepoison/splits.hpp"

#include <algorithm>

#include "support/support.hpp"

namespace facepoison {
namespace {

using Names = std::vector<std::string>;
using Splits = std::vector<Split>;

Names repeated(const std::string& person, std::size_t count) { return Names(count, person); }

Names joined(Names a, const Names& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// The test rows of one person, counted within that person.
std::vector<std::size_t> tests_of(const std::string& person, const Names& people, const Splits& split) {
  std::vector<std::size_t> rows;
  std::size_t own = 0;
  for (std::size_t i = 0; i < people.size(); ++i) {
    if (people[i] != person) continue;
    if (split.at(i) == Split::test) rows.push_back(own);
    ++own;
  }
  return rows;
}

std::size_t trains(const Splits& split) {
  return static_cast<std::size_t>(std::count(split.begin(), split.end(), Split::train));
}

TEST(SeededSplit, RoundsTheShareToTheNearest) {
  const std::size_t expected[] = {0, 1, 1, 2, 3, 4, 4,  5,
                                  6, 6, 7, 8, 8, 9, 10, 11};  // 0.7·5 = 3.5 and 0.7·15 = 10.5 go up
  for (std::size_t n = 0; n < std::size(expected); ++n) {
    const auto split = seeded_split(repeated("a", n), 0.7, 0);
    ASSERT_EQ(split.size(), n);
    EXPECT_EQ(trains(split), expected[n]) << n;
    EXPECT_EQ(trains(split) + static_cast<std::size_t>(std::count(split.begin(), split.end(), Split::test)), n);
  }
}

TEST(SeededSplit, KeepsAPhotoOnEitherSide) {
  EXPECT_EQ(seeded_split({"a"}, 0.01, 0), Splits{Split::train});
  for (const double share : {0.01, 0.99})
    for (const std::size_t n : {2, 9})
      EXPECT_EQ(trains(seeded_split(repeated("a", n), share, 0)), share < 0.5 ? 1 : n - 1) << share << " of " << n;
}

TEST(SeededSplit, NoneAndAllAreMeant) {
  for (const std::size_t n : {1, 2, 9}) {
    EXPECT_EQ(seeded_split(repeated("a", n), 0, 0), Splits(n, Split::test));
    EXPECT_EQ(seeded_split(repeated("a", n), 1, 0), Splits(n, Split::train));
  }
}

TEST(SeededSplit, CountsForEachPerson) {
  const Names people = joined(joined(repeated("a", 10), repeated("b", 3)), joined(repeated("c", 2), {"d"}));
  const auto split = seeded_split(people, 0.7, 5);
  EXPECT_EQ(tests_of("a", people, split).size(), 3u);
  EXPECT_EQ(tests_of("b", people, split).size(), 1u);
  EXPECT_EQ(tests_of("c", people, split).size(), 1u);
  EXPECT_EQ(tests_of("d", people, split).size(), 0u);
}

TEST(SeededSplit, DoesNotDependOnOtherPeople) {
  const Names alone = repeated("b", 20), more = joined(joined(repeated("a", 7), alone), repeated("c", 4));
  Names mixed;
  for (int i = 0; i < 20; ++i) mixed = joined(mixed, {"a", "b"});
  const auto expected = tests_of("b", alone, seeded_split(alone, 0.7, 3));
  EXPECT_EQ(tests_of("b", more, seeded_split(more, 0.7, 3)), expected);
  EXPECT_EQ(tests_of("b", mixed, seeded_split(mixed, 0.7, 3)), expected);
}

TEST(SeededSplit, DependsOnSeedAndPerson) {
  const Names a = repeated("a", 40), b = repeated("b", 40);
  EXPECT_EQ(seeded_split(a, 0.7, 1), seeded_split(a, 0.7, 1));
  EXPECT_NE(seeded_split(a, 0.7, 1), seeded_split(a, 0.7, 2));
  EXPECT_NE(seeded_split(a, 0.7, 1), seeded_split(b, 0.7, 1));
}

TEST(FacecureSplit, IsPythonsDrawOverSortedPeople) {
  // random.seed(10); sorted(random.sample(range(7), int(.3 * 7))), sorted(random.sample(range(10), int(.3 * 10)))
  const Names people = joined(repeated("b", 10), repeated("a", 7));  // "a" draws first at any place
  const auto split = facecure_split(people);
  EXPECT_EQ(tests_of("a", people, split), (std::vector<std::size_t>{0, 4}));
  EXPECT_EQ(tests_of("b", people, split), (std::vector<std::size_t>{0, 6, 7}));
}

TEST(FacecureSplit, TakesThreeTenthsRoundedDown) {
  const std::size_t tests[] = {0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3};  // [int(.3 * n) for n in range(12)]
  for (std::size_t n = 0; n < std::size(tests); ++n)
    EXPECT_EQ(trains(facecure_split(repeated("a", n))), n - tests[n]) << n;
}

TEST(SortedSplit, ThePersonsFirstPhotosAreForTraining) {
  const Names people = joined(joined(repeated("b", 5), repeated("a", 10)), repeated("b", 2));
  const auto split = sorted_split(people, 0.7);
  EXPECT_EQ(tests_of("a", people, split), (std::vector<std::size_t>{7, 8, 9}));
  EXPECT_EQ(tests_of("b", people, split), (std::vector<std::size_t>{4, 5, 6})) << "4.9 of 7";
}

}  // namespace
}  // namespace facepoison
