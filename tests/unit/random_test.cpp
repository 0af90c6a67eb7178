// Random numbers: equal for equal purposes, different for others, and CPython's where a paper's code used them.
#include "facepoison/random.hpp"

#include <algorithm>
#include <array>
#include <numeric>

#include "support/support.hpp"

namespace facepoison {
namespace {

using namespace testing;

TEST(Stream, GivesTheSameNumbersOnEveryMachine) {
  // python3 -c "import hashlib; print(hashlib.sha256(b'7|5:noise|1:a|1:b').hexdigest()[:16])"
  std::mt19937_64 reference(0xdbd639c9bbcb0256u);
  Stream stream(7, "noise", "a", "b");
  for (int i = 0; i < 5; ++i) EXPECT_EQ(stream.bits(), reference());
}

TEST(Stream, ChangesWithEveryPartOfItsKey) {
  const std::vector<std::uint64_t> firsts = {
      Stream(1, "p", "a", "b").bits(), Stream(2, "p", "a", "b").bits(), Stream(1, "q", "a", "b").bits(),
      Stream(1, "p", "c", "b").bits(), Stream(1, "p", "a", "c").bits(), Stream(1, "p", "a").bits(),
      Stream(1, "p").bits(),           Stream(1, "p", "", "a").bits(),
  };
  for (std::size_t i = 0; i < firsts.size(); ++i)
    EXPECT_EQ(std::count(firsts.begin(), firsts.end(), firsts[i]), 1) << "key " << i;
}

TEST(Stream, TellsTuplesApartThatReadTheSame) {
  EXPECT_NE(Stream(1, "p", "a", "bc").bits(), Stream(1, "p", "ab", "c").bits());
  EXPECT_NE(Stream(1, "p", "a|1:b").bits(), Stream(1, "p", "a", "b").bits());
  EXPECT_NE(Stream(1, "1", "a").bits(), Stream(11, "", "a").bits());
}

TEST(Stream, UniformFillsZeroToOne) {
  Stream stream(1, "uniform");
  double sum = 0, low = 1, high = 0;
  for (int i = 0; i < 10000; ++i) {
    const double value = stream.uniform();
    sum += value, low = std::min(low, value), high = std::max(high, value);
  }
  EXPECT_GE(low, 0);
  EXPECT_LT(low, 0.001);
  EXPECT_GT(high, 0.999);
  EXPECT_LT(high, 1);
  EXPECT_NEAR(sum / 10000, 0.5, 0.01);
}

TEST(Stream, BelowIsInRangeAndEven) {
  Stream stream(1, "below");
  std::array<int, 6> counts{};
  for (int i = 0; i < 60000; ++i) ++counts.at(stream.below(6));
  for (const int count : counts) EXPECT_NEAR(count, 10000, 400);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(stream.below(1), 0u);
}

TEST(Stream, BelowIsEvenWhereARemainderWouldNotBe) {
  Stream stream(1, "below");  // of 2⁶⁴ numbers modulo 3·2⁶², half would fall in the first third
  int first_third = 0;
  for (int i = 0; i < 9000; ++i) first_third += stream.below(std::uint64_t{3} << 62) < std::uint64_t{1} << 62;
  EXPECT_NEAR(first_third, 3000, 200);
}

TEST(Stream, ShuffleIsAPermutationWithEveryItemInEveryPlace) {
  std::array<std::array<int, 5>, 5> seen{};
  for (Seed seed = 0; seed < 2000; ++seed) {
    std::vector<std::size_t> items(5);
    std::iota(items.begin(), items.end(), std::size_t{0});
    Stream(seed, "shuffle").shuffle(items);
    for (std::size_t i = 0; i < 5; ++i) ++seen[i].at(items[i]);
    std::sort(items.begin(), items.end());
    for (std::size_t i = 0; i < 5; ++i) ASSERT_EQ(items[i], i);
  }
  for (const auto& place : seen)
    for (const int count : place) EXPECT_NEAR(count, 400, 80);
  std::vector<int> none;
  Stream(1, "shuffle").shuffle(none);
  EXPECT_TRUE(none.empty());
}

struct Drawn {
  std::size_t n, count;
  std::vector<std::size_t> first;
  std::size_t checksum;  // Σ (i + 1)·drawn[i]
};

TEST(PythonRandom, ContinuesAsCPythonDoes) {
  // import random; random.seed(10)
  // for n in [1, 5, 20, 21, 60, 150, 284, 500]:
  //   s = random.sample(range(n), int(0.3 * n)); print(n, len(s), s[:4], sum((i + 1) * v for i, v in enumerate(s)))
  // Python 3.11.7. 284 is the smallest n at which this share takes CPython's other way, with a set.
  const std::vector<Drawn> expected = {{1, 0, {}, 0},
                                       {5, 1, {4}, 4},
                                       {20, 6, {1, 13, 15, 0}, 144},
                                       {21, 6, {15, 8, 5, 1}, 250},
                                       {60, 18, {20, 4, 15, 47}, 4165},
                                       {150, 45, {92, 34, 116, 61}, 77926},
                                       {284, 85, {57, 49, 226, 85}, 541044},
                                       {500, 150, {367, 148, 455, 45}, 3141202}};
  PythonRandom random(10);
  for (const auto& [n, count, first, checksum] : expected) {
    const auto drawn = random.sample(n, count);
    ASSERT_EQ(drawn.size(), count) << n;
    EXPECT_TRUE(std::equal(first.begin(), first.end(), drawn.begin())) << n;
    std::size_t sum = 0;
    for (std::size_t i = 0; i < count; ++i) sum += (i + 1) * drawn[i];
    EXPECT_EQ(sum, checksum) << n;
  }
}

TEST(PythonRandom, DrawsFewOfMany) {
  // random.seed(10); random.sample(range(1000), 5), random.sample(range(22), 5), random.sample(range(3), 3)
  PythonRandom random(10);
  EXPECT_EQ(random.sample(1000, 5), (std::vector<std::size_t>{585, 33, 439, 494, 591}));
  EXPECT_EQ(random.sample(22, 5), (std::vector<std::size_t>{0, 6, 14, 15, 8}));
  EXPECT_EQ(random.sample(3, 3), (std::vector<std::size_t>{2, 0, 1}));
}

TEST(PythonRandom, TakesAnySeedOfOneWord) {
  // random.seed(0); random.sample(range(100), 3), and with the seed 4294967295
  EXPECT_EQ(PythonRandom(0).sample(100, 3), (std::vector<std::size_t>{49, 97, 53}));
  EXPECT_EQ(PythonRandom(4294967295u).sample(100, 3), (std::vector<std::size_t>{81, 79, 26}));
}

TEST(PythonRandom, RefusesToDrawMoreThanThereAre) {
  PythonRandom random(10);
  EXPECT_EQ(caught([&] { random.sample(3, 4); }).code, Exit::input);
  EXPECT_TRUE(random.sample(0, 0).empty());
}

}  // namespace
}  // namespace facepoison
