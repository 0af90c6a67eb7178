// Combined recognisers; areas, thresholds and smallest numbers.
#include <cmath>

#include "experiments/measures.hpp"
#include "facepoison/recogniser.hpp"
#include "facepoison/stats.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

// Six people, two probes each; person 0's game. All answers are right except for probe 5, of person 2.
struct SixPeople {
  std::vector<std::string> people = {"a", "b", "c", "d", "e", "f"};
  GalleryAndProbes sides;
  Answers accurate, robust;

  SixPeople() {
    for (std::int64_t p = 0; p < 12; ++p) {
      const auto label = p / 2;
      sides.probe_labels.push_back(label);
      accurate.everybody.push_back({static_cast<std::size_t>(p), p == 5 ? 3 : label, static_cast<double>(p)});
      robust.everybody.push_back({static_cast<std::size_t>(p), label, 100});
    }
    sides.overrides_from = 12;
    // In the game the accurate one takes both own probes for others, and probe 4 for person 0; the robust one knows
    // one.
    accurate.trials.push_back({{3, 4}, {5, 6}, {2, 3}, 10, 2, 1, {{4, 0, 0.5}}});
    robust.trials.push_back({{0, 4}, {50, 60}, {1, 4}, 10, 0, 0, {}});
  }
};

TEST(Combined, TwoGuessesAreWrongWhereNeitherIsRight) {
  const SixPeople game;
  const Pairing rule{"both", Pairing::Rule::top_2, "x", "y", true, {}, 0.05};
  const Combined combined(rule, game.accurate, game.robust, game.sides, game.people, 0);
  const auto answer = combined.answer(0, 0, combined.threshold(0, 0.05));
  EXPECT_EQ(answer.labels, (std::vector<std::int64_t>{0, 4}));
  EXPECT_EQ(answer.ranks, (std::vector<std::int64_t>{2, -1}));
  EXPECT_EQ(answer.others, 10);
  EXPECT_EQ(answer.others_errors, 0) << "the robust one knows probes 4 and 5";
}

TEST(Combined, TheThresholdIsThatOfOneHalfAndErrorsAreTheOthers) {
  const SixPeople game;
  Pairing rule{"late", Pairing::Rule::threshold, "x", "y", false, {}, 0};
  const Combined combined(rule, game.accurate, game.robust, game.sides, game.people, 0);
  // For all shares: the distances of clean probes of half of the people, without the game's person.
  std::set<double> seen;
  for (int percent = 0; percent < 100; ++percent) seen.insert(combined.threshold(0, percent / 100.0));
  EXPECT_EQ(combined.threshold(0, 1), -INFINITY);
  EXPECT_TRUE(seen.size() == 4 || seen.size() == 6) << seen.size();
  for (const auto distance : seen) EXPECT_GE(distance, 2) << "that of a probe of the protected person";
  const auto never = combined.answer(0, 0, combined.threshold(0, 0));
  EXPECT_EQ(never.labels, game.accurate.trials[0].labels) << "no clean probe is farther, and neither are these";
  EXPECT_EQ(never.ranks, game.accurate.trials[0].ranks);
  const auto always = combined.answer(0, 0, combined.threshold(0, 1));
  EXPECT_EQ(always.labels, game.robust.trials[0].labels);
  EXPECT_EQ(always.ranks, game.robust.trials[0].ranks);
  EXPECT_TRUE(never.others == 4 || never.others == 6) << "people who set no threshold: " << never.others;
}

TEST(Combined, AGivenThresholdJudgesEverybody) {
  const SixPeople game;
  const Pairing rule{"late", Pairing::Rule::threshold, "x", "y", false, 5.5, 0.05};
  const Combined combined(rule, game.accurate, game.robust, game.sides, game.people, 0);
  const auto answer = combined.answer(0, 0, combined.threshold(0, 0.3));
  EXPECT_EQ(answer.labels, (std::vector<std::int64_t>{3, 4})) << "5 is below 5.5, 6 is not";
  EXPECT_EQ(answer.others, 10);
  EXPECT_EQ(answer.others_errors, 2) << "probes 4 and 5 are near, so that nobody asks the robust one";
  EXPECT_EQ(answer.others_as_person, 1);
}

TEST(Measures, TheAreaCountsTiesHalf) {
  EXPECT_EQ(area_under_curve({1, 2}, {3, 4, 5}), 1);
  EXPECT_EQ(area_under_curve({3, 4}, {1, 2}), 0);
  EXPECT_EQ(area_under_curve({1, 2, 2}, {2, 3}), (2 + 1.5 + 1.5) / 6);
}

TEST(Measures, TheLeastOfManyAreTheLeastOfAll) {
  BottomK least(5);
  std::vector<double> all;
  Stream stream(3, "numbers");
  for (int part = 0; part < 40; ++part) {
    std::vector<double> some;
    for (int i = 0; i < 7; ++i) some.push_back(stream.uniform());
    least.add(some);
    all.insert(all.end(), some.begin(), some.end());
  }
  std::sort(all.begin(), all.end());
  for (std::size_t place = 0; place < 5; ++place) EXPECT_EQ(least.at(place), all[place]);
  EXPECT_EQ(BottomK(3).at(0), INFINITY);
}

}  // namespace
}  // namespace facepoison::testing
