// Gates: how they are read, which rows they mean, and their messages if they do not hold.
#include "facepoison/expect.hpp"

#include "support/support.hpp"

namespace facepoison::testing {
namespace {

Table a_table() {
  return {
      {"extractor", "released", "attack", "classifier", "people", "n", "protection", "low", "high", "others_error",
       "others_n", "surrogate"},
      {{"dlib", "2017", "none", "nearest", std::int64_t{8}, std::int64_t{48}, .1, 0., .3, .02, std::int64_t{600}, "no"},
       {"dlib", "2017", "pgd", "k-nearest, k 3", std::int64_t{8}, std::int64_t{48}, .9, .6, 1., .02, std::int64_t{600},
        "yes"},
       {"face", "2022", "pgd", "nearest", std::int64_t{8}, std::int64_t{48}, .5, .2, .8, .02, std::int64_t{600}, "no"}},
      {}};
}

std::vector<std::string> unmet(const std::string& text) {
  return facepoison::unmet({parse_expectation(text)}, a_table());
}

TEST(Expect, MeansTheRowsThatItsKeysName) {
  EXPECT_TRUE(unmet("protection[attack=none] <= .1").empty());
  EXPECT_TRUE(unmet("protection[extractor=dlib,classifier=k-nearest, k 3]>=0.9").empty()) << "a value may hold a comma";
  EXPECT_TRUE(unmet("protection[surrogate=yes] > 0.89").empty());
  EXPECT_TRUE(unmet("people == 8").empty()) << "without keys every row is meant";
  EXPECT_EQ(unmet("protection[attack=pgd] >= 0.6").size(), 1u) << "all matching rows must hold";
  EXPECT_EQ(unmet("n != 48").size(), 3u);
}

TEST(Expect, SaysWhatWasFoundWhere) {
  const auto lines = unmet("protection[attack=pgd] > 0.6");
  ASSERT_EQ(lines.size(), 1u);
  for (const auto* part : {"protection[attack=pgd] > 0.6", "found 0.5", "face, pgd, nearest"})
    EXPECT_TRUE(contains(lines[0], part)) << lines[0];
}

TEST(Expect, HasEveryComparison) {
  for (const auto& [op, number] : std::vector<std::pair<std::string, std::string>>{
           {"<=", "0.1"}, {">=", "0.1"}, {"<", "0.11"}, {">", "9e-2"}, {"==", "0.1"}, {"!=", "0.2"}}) {
    EXPECT_TRUE(unmet("protection[attack=none] " + op + number).empty()) << op;
    EXPECT_EQ(unmet("protection[attack=none] " + op +
                    (op == "<=" || op == "<" ? "-1"
                     : op == "!="            ? "0.1"
                                             : "1"))
                  .size(),
              1u)
        << op;
  }
}

TEST(Expect, RefusesWhatItCannotRead) {
  for (const auto* text :
       {"protection", "protection = 1", "protection >= x", "protecton >= 1", "protection[protection=1] >= 1",
        "protection[atack=none] >= 1", "protection[none] >= 1", "extractor == 1", "protection >= 1.2.3", "",
        "protection[attack=none >= 1", "protection[attack=none]] >= 1", "protection >= inf", "protection >= +-1",
        "protection >= 1e999", "protection >= 1 # one", "protection =< 1", ">= 1", "protection >="})
    EXPECT_EQ(caught([&] { parse_expectation(text); }).code, Exit::usage) << text;
}

TEST(Expect, MustMeanSomethingThatIsPlanned) {
  Table plan = a_table();
  EXPECT_NO_THROW(require_planned({parse_expectation("low[attack=pgd,extractor=face] >= 0")}, plan));
  EXPECT_EQ(caught([&] { require_planned({parse_expectation("low[attack=lowkey] >= 0")}, plan); }).code, Exit::usage);
}

TEST(Expect, AFileWithoutAnExpectationPromisesNothing) {
  const TempFolder folder;
  for (const auto* text : {"", "\n", "# all of it\n"}) {
    write_file(folder / "x.expect", text);
    const auto [code, message] = caught([&] { read_expectations(folder / "x.expect"); });
    EXPECT_EQ(code, Exit::usage) << text;
    EXPECT_TRUE(contains(message, "found no expectation")) << message;
  }
}

TEST(Expect, LinesOfAnyLengthAreReadOrRefused) {
  const std::string blanks(1 << 20, ' '), digits(1 << 20, '1');
  EXPECT_EQ(parse_expectation("n" + blanks + ">=" + blanks + "1" + blanks).number, 1);
  for (const auto& text : {blanks, "n >= " + digits, "n[attack=" + digits, digits, std::string(1 << 20, 'n') + " >= 1"})
    EXPECT_EQ(caught([&] { parse_expectation(text); }).code, Exit::usage) << text.size();
}

TEST(Expect, WhatIsNotKnownPromisesNothing) {
  Table table = a_table();
  table.rows[1][6] = unknown;
  for (const auto* op : {"<=", ">=", "!="}) {
    const auto lines = facepoison::unmet({parse_expectation(concat("protection[surrogate=yes] ", op, " 0"))}, table);
    ASSERT_EQ(lines.size(), 1u) << op;
    EXPECT_TRUE(contains(lines[0], "found no known value for dlib, pgd")) << lines[0];
  }
}

TEST(Expect, NamesMatchInEitherUnicodeForm) {
  Table table = a_table();
  table.rows[0][0] = "jos\u00e9";
  EXPECT_EQ(facepoison::unmet({parse_expectation("protection[extractor=jose\u0301] > 0.5")}, table).size(), 1u);
}

TEST(Expect, ReadsAFileALineEach) {
  const TempFolder folder;
  write_file(folder / "x.expect", "# what must hold\n\nprotection[attack=none] <= 0.3\nn >= 1\n");
  EXPECT_EQ(read_expectations(folder / "x.expect").size(), 2u);
  write_file(folder / "x.expect", "  # after blanks\r\n\tn >= 1  # after a gate\r\nn[attack=a #b] <= +1e2\n\t#\n");
  const auto read = read_expectations(folder / "x.expect");
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(read[0].number, 1);
  EXPECT_EQ(read[1].where.at(0).second, "a #b");
  EXPECT_EQ(read[1].number, 100);
  write_file(folder / "x.expect", "n >= 1\nbroken\n");
  EXPECT_TRUE(contains(caught([&] { read_expectations(folder / "x.expect"); }).message, "line 2"));
}

}  // namespace
}  // namespace facepoison::testing
