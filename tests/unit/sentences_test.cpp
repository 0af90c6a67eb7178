// The sentences on a run's table, for invented tables.
#include "facepoison/report.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

using Words = std::vector<std::string>;

const std::string header = "extractor,released,attack,transform,classifier,people,n,protection,low,high,surrogate\n";

std::string row(const std::string& extractor, const std::string& attack, const std::string& numbers,
                const std::string& surrogate = "no", const std::string& transform = "none",
                const std::string& classifier = "nearest") {
  return concat(extractor, ",2020,", attack, ",", transform, ",", classifier, ",8,48,", numbers, ",", surrogate, "\n");
}

const std::string protection_rows = row("dlib", "none", "0.08,0.02,0.3") + row("dlib", "noise", "0.1,0.02,0.3") +
                                    row("dlib", "pgd", "1,0.51,1", "yes") + row("mobile", "none", "0.02,0,0.3") +
                                    row("mobile", "noise", "0.25,0.04,0.6") + row("mobile", "pgd", "0.9,0.4,1") +
                                    row("hse", "none", "0.17,0.05,0.4") + row("hse", "noise", "0.5,0.3,0.7") +
                                    row("hse", "pgd", "0.6,0.2,0.9") + row("dlib", "none", "0.99,0.9,1", "no", "jpeg") +
                                    row("dlib", "none", "0.99,0.9,1", "no", "none", "linear");

Words said(const std::string& of, const Words& optimising = {"pgd"}, const std::string& differences = "") {
  const auto columns = "extractor,attack,classifier,difference,low,high,reading\n";
  return sentences_on(parse_csv(header + of, "table.csv"), optimising,
                      differences.empty() ? Table{} : parse_csv(columns + differences, "differences"));
}

TEST(Sentences, CleanPhotosWorstAndBest) {
  EXPECT_EQ(said(protection_rows)[0],
            "The recognisers identify 83 % (hse) to 98 % (mobile) of clean photos: 8 protected people, 48 probes.");
}

TEST(Sentences, AnAttackAgainstWhatItSawAndWhatItNeverSaw) {
  ASSERT_EQ(said(protection_rows).size(), 3u);
  EXPECT_EQ(said(protection_rows)[1],
            "pgd gives 1.00 against dlib, which it optimises against, and of recognisers that it never saw it carries "
            "furthest to mobile (0.90 [0.40, 1.00], clean 0.02), least to hse (0.60 [0.20, 0.90], clean 0.17).");
}

TEST(Sentences, EachAttackHasOne) {
  const auto both =
      said(protection_rows + row("dlib", "lowkey", "0.7,0.4,0.9", "yes") + row("mobile", "lowkey", "0.3,0.1,0.6"),
           {"pgd", "lowkey"});
  ASSERT_EQ(both.size(), 4u);
  EXPECT_EQ(both[2],
            "lowkey gives 0.70 against dlib, which it optimises against, and of recognisers that it never saw it "
            "carries to mobile (0.30 [0.10, 0.60], clean 0.02).");
}

TEST(Sentences, AnAttackWhoseSurrogatesAreNotAmongTheRows) {
  EXPECT_TRUE(contains(said(row("a", "pgd", "0.5,0.2,0.8") + row("b", "pgd", "0.1,0,0.4"))[1],
                       "pgd never saw any of these recognisers; it carries furthest to a"));
  EXPECT_TRUE(contains(said(row("a", "pgd", "0.5,0.2,0.8"))[1],
                       "pgd never saw any of these recognisers; it carries to a (0.50 [0.20, 0.80])."));
}

TEST(Sentences, NoiseIsNeverSaidToMakeNoDifference) {
  EXPECT_EQ(
      said(protection_rows, {"pgd"},
           "dlib,noise,nearest,0.02,-0.1,0.14,the interval includes 0\n"
           "hse,noise,nearest,0,0,0,the interval includes 0\n")[2],
      "Noise gives 0.10 (dlib) to 0.50 (hse); of its difference from clean photos the interval includes 0 against "
      "2 of 2 recognisers; with 8 people an interval is up to 0.70 wide.");
}

TEST(Sentences, NoiseThatDiffersIsNamed) {
  EXPECT_TRUE(contains(said(protection_rows, {"pgd"},
                            "dlib,noise,nearest,0.02,-0.1,0.14,the interval includes 0\n"
                            "hse,noise,nearest,0.33,0.1,0.56,above 0\n"
                            "dlib,noise,linear,0.5,0.4,0.6,above 0\n")[2],
                       "includes 0 against 1 of 2 recognisers (not hse: 0.33 [0.10, 0.56]); with 8"));
}

TEST(Sentences, ADifferenceOfTooFewPeopleIsNotTold) {
  EXPECT_TRUE(contains(said(protection_rows, {"pgd"},
                            "dlib,noise,nearest,0.02,-0.1,0.14,the interval includes 0\n"
                            "hse,noise,nearest,1,1,1,too few people\n")[2],
                       "includes 0 against 1 of 1 recognisers; with 8"));
}

TEST(Sentences, RunsWithoutNoiseOrCleanPhotosOrAttacksOrAnybody) {
  EXPECT_EQ(said(row("a", "none", "0,0,0.4"), {}).size(), 3u);
  EXPECT_EQ(said(row("a", "noise", "0,0,0.4"), {}).size(), 3u);
  EXPECT_EQ(said(row("a", "pgd", "0,0,0.4", "yes")).size(), 3u);
  EXPECT_EQ(said(row("a", "none", ",,")), Words{"No row of this run has a protected person."});
  EXPECT_EQ(said(""), Words{"No row of this run has a protected person."});
}

}  // namespace
}  // namespace facepoison::testing
