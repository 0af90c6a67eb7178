// Intervals, against published numbers and numbers that can be counted by hand.
#include "facepoison/stats.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace facepoison {
namespace {

void expect_near(const Interval& found, double low, double high, double tolerance) {
  EXPECT_NEAR(found.low, low, tolerance);
  EXPECT_NEAR(found.high, high, tolerance);
}

TEST(Mean, OfNothingIsZero) {
  EXPECT_EQ(mean({}), 0);
  EXPECT_DOUBLE_EQ(mean(std::vector<double>{1, 2, 6}), 3);
}

TEST(Wilson, IsThePublishedInterval) {  // Newcombe 1998, Statistics in Medicine 17, table I, method 3
  expect_near(wilson(81. / 263, 263), 0.2553, 0.3662, 5e-5);
  expect_near(wilson(15. / 148, 148), 0.0624, 0.1605, 5e-5);
  expect_near(wilson(0, 20), 0, 0.1611, 5e-5);
  expect_near(wilson(1. / 29, 29), 0.0061, 0.1718, 5e-5);
}

TEST(Wilson, IsExactToTheLastDigits) {
  // z = 1.959963984540054; c = (p+z*z/2/n)/(1+z*z/n); h = z/(1+z*z/n)*sqrt(p*(1-p)/n+z*z/4/n/n)
  expect_near(wilson(81. / 263, 263), 0.2552885198782742, 0.36620957698280004, 1e-14);
}

TEST(Wilson, HoldsTheFractionAndStaysBetweenZeroAndOne) {
  for (const double n : {1., 5., 1000., 1e9})
    for (const double p : {0., 0.2, 1.}) {
      const auto [low, high] = wilson(p, n);
      EXPECT_LE(0, low);
      EXPECT_LE(low, p);
      EXPECT_LE(p, high);
      EXPECT_LE(high, 1);
      EXPECT_LT(low, high);
    }
  expect_near(wilson(1, 5), 0.5655175352168251, 1, 1e-14);
  EXPECT_EQ(wilson(1, 5).high, 1);
  EXPECT_EQ(wilson(0, 1).low, 0);
}

TEST(Wilson, KnowsNothingWithoutTrials) { expect_near(wilson(0, 0), 0, 1, 0); }

TEST(Bootstrap, IsReproducible) {
  const std::vector<double> people = {0.1, 0.4, 0.35, 0.8, 0.9, 0.05, 0.62};
  const auto first = bootstrap(people), again = bootstrap(people), other = bootstrap(people, 10000, 1);
  EXPECT_EQ(first.low, again.low);
  EXPECT_EQ(first.high, again.high);
  EXPECT_TRUE(first.low != other.low || first.high != other.high);
  expect_near(other, first.low, first.high, 0.02);
  EXPECT_LT(first.low, mean(people));
  EXPECT_GT(first.high, mean(people));
}

TEST(Bootstrap, HasTheQuantilesOfABinomial) {
  std::vector<double> people(16, 0);
  std::fill(people.begin(), people.begin() + 8, 1);  // sums are binomial(16, 1/2): P(≤ 3) = .011, P(≤ 4) = .038
  expect_near(bootstrap(people, 10000, 1), 4. / 16, 12. / 16, 1e-12);
}

TEST(Bootstrap, HasNoWidthForOnePersonOrEqualOnes) {
  expect_near(bootstrap(std::vector<double>{0.3}), 0.3, 0.3, 0);
  EXPECT_NEAR(bootstrap(std::vector<double>(5, 0.25)).width(), 0, 0);
  expect_near(bootstrap({}), 0, 1, 0);
}

TEST(ProtectionInterval, IsWilsonsWherePeopleAgree) {
  const auto trials = wilson(0.3, 40);
  expect_near(protection_interval(std::vector<double>{0.3}, 40), trials.low, trials.high, 1e-15);
}

TEST(ProtectionInterval, IsTheBootstrapsWherePeopleDiffer) {
  const std::vector<double> people = {0, 0, 0, 1, 1, 1};
  const auto expected = bootstrap(people);
  expect_near(protection_interval(people, 100000), expected.low, expected.high, 0);
  EXPECT_GT(expected.width(), wilson(0.5, 100000).width());
}

}  // namespace
}  // namespace facepoison
