// Compares two runs, and a run with published figures, on run folders that the tests write.
#include <cmath>

#include "facepoison/report.hpp"
#include "facepoison/spec.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

// A run of one recogniser and classifier, with a column `seed` if one is given.
struct WrittenRun {
  std::string extractor = "dlib", attack = "pgd", manifest = "one", seed, classifier = "nearest";
  std::map<std::string, std::string> answers;  // of each protected person's probes: x wrong, . right
};

void write_run(const fs::path& folder, const std::vector<WrittenRun>& cells) {
  std::string trials, others;
  Json extractors = Json::array(), attacks = Json::array();
  const bool has_seed = !cells.front().seed.empty();
  const std::string columns = concat("extractor,attack,classifier", has_seed ? ",seed" : "", ",protected,");
  for (const auto& cell : cells) {
    const auto at = concat(cell.extractor, ",", cell.attack, ",", cell.classifier, has_seed ? "," : "", cell.seed, ",");
    for (const auto& [person, answers] : cell.answers) {
      for (std::size_t i = 0; i < answers.size(); ++i)
        trials += concat(at, person, ",", person, "/", i, ",", answers[i] == 'x' ? 0 : 1, "\n");
      others += concat(at, person, ",10,1\n");
    }
    extractors.push_back({{"name", cell.extractor}, {"released", "2017"}, {"identity", cell.extractor}});
    attacks.push_back({{"name", cell.attack}, {"attacked", Json::array()}, {"parts", cell.manifest}});
  }
  write_file(folder / "trials.csv", columns + "id,correct\n" + trials);
  write_file(folder / "others.csv", columns + "n,errors\n" + others);
  write_file(folder / "budget.csv", "attack,status,linf,dssim,dssim_seen,psnr\n");
  write_file(folder / "run.json", Json{{"notes", {"both", "of " + cells.front().manifest}}}.dump());
  write_file(
      folder / "config.resolved.json",
      Json{{"manifest_sha256", cells.front().manifest}, {"extractors", extractors}, {"attacks", attacks}}.dump());
}

class Compare : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::vector<WrittenRun>& cells) { write_run(folder_ / name, cells); }
  Table compared() { return compare_runs(folder_ / "a", folder_ / "b"); }
  Caught refused() {
    return caught([&] { compared(); });
  }

  TempFolder folder_;
};

std::string notes_of(const Table& table) {
  std::string all;
  for (const auto& note : table.notes) all += note + "\n";
  return all;
}

double number(const Table& table, std::size_t row, const std::string& name) {
  return std::stod(named(table, table.rows.at(row), name));
}

TEST_F(Compare, IsOverThePeopleWhomBothHave) {
  write("a", {{.answers = {{"ann", "xx.."}, {"bob", "xxx."}, {"cid", "xxxx"}, {"dan", "xxxx"}}}});
  write("b", {{.answers = {{"ann", "...."}, {"bob", "x..."}, {"cid", "xxx."}, {"eve", "...."}}}});
  const Table table = compared();
  ASSERT_EQ(table.rows.size(), 1u);
  EXPECT_EQ(named(table, table.rows[0], "people"), "3");
  EXPECT_DOUBLE_EQ(number(table, 0, "a"), 2.25 / 3);
  EXPECT_DOUBLE_EQ(number(table, 0, "b"), 1.0 / 3);
  EXPECT_NEAR(number(table, 0, "difference"), 1.25 / 3, 1e-12);
  // Differences .5, .5, .25: Student's 97.5 % point with 2 degrees is 4.30265.
  EXPECT_NEAR(number(table, 0, "low"), 1.25 / 3 - 4.30265 * std::sqrt(0.0208333333 / 3), 1e-5);
  EXPECT_DOUBLE_EQ(number(table, 0, "p"), 0.25);
}

TEST_F(Compare, SaysWhichIsHigher) {
  std::map<std::string, std::string> wrong = {{"ann", "xxxx"}, {"bob", "xxxx"}},
                                     right = {{"ann", "...."}, {"bob", "...."}};
  const auto verdict = [&](const auto& a, const auto& b) {
    write("a", {{.answers = a}});
    write("b", {{.answers = b}});
    const Table table = compared();
    return named(table, table.rows[0], "verdict");
  };
  EXPECT_EQ(verdict(wrong, right), "too few people") << "the interval has no width, and p is 1/2";
  for (const auto* person : {"cid", "dan", "eve", "fay"}) {
    wrong[person] = "xxxx";
    right[person] = "....";
  }
  EXPECT_EQ(verdict(wrong, right), "A higher");
  EXPECT_EQ(verdict(right, wrong), "B higher");
  EXPECT_EQ(verdict(wrong, wrong), "includes 0");
}

TEST_F(Compare, AMissingAxisIsNeutralAndRowsWithoutACounterpartAreCounted) {
  write("a", {{.answers = {{"ann", "xx"}}}, {.attack = "noise", .answers = {{"ann", "x."}}}});
  write("b", {{.seed = "0", .answers = {{"ann", ".."}}}});
  const Table table = compared();
  EXPECT_EQ(table.rows.size(), 1u);
  EXPECT_TRUE(contains(notes_of(table), "rows without a counterpart: 1 of A, 0 of B")) << notes_of(table);
}

TEST_F(Compare, PeopleWithOtherProbesAreLeftOut) {
  write("a", {{.answers = {{"ann", "xx"}, {"bob", "xxx"}}}});
  write("b", {{.manifest = "two", .answers = {{"ann", ".x"}, {"bob", "xx"}}}});
  const Table table = compared();
  EXPECT_EQ(named(table, table.rows[0], "people"), "1");
  for (const auto* part :
       {"people left out because their probes differ: 1\n", "of different data (manifest sha256 one and two)",
        "both\nA: of one\nB: of two\n", "differ between A and B: attack pgd\n"})
    EXPECT_TRUE(contains(notes_of(table), part)) << part << " in:\n" << notes_of(table);
}

TEST_F(Compare, RunsWithNothingInCommonAreRefusedInOneLine) {
  const auto expect = [&](const std::vector<std::string>& parts) {
    const auto [code, message] = refused();
    EXPECT_EQ(code, Exit::input);
    EXPECT_FALSE(contains(message, "\n")) << message;
    for (const auto& part : parts) EXPECT_TRUE(contains(message, part)) << message;
  };
  const auto a = (folder_ / "a").string(), b = (folder_ / "b").string();
  write("a", {{.answers = {{"ann", "xx"}}}});
  write("b", {{.attack = "noise", .answers = {{"ann", "xx"}}}});
  expect({a, b, "no row in common: attack is pgd in the first, noise in the second"});
  write("b", {{.manifest = "two", .answers = {{"ann", "xxx"}}}});
  expect({a, b, "their data differ (manifest sha256 one and two)"});
  write("b", {{.answers = {{"bob", "xx"}}}});
  expect({a, b, "they protect different people"});
  fs::remove(folder_ / "b" / "trials.csv");
  expect({b, "holds no finished run"});
}

// What a run is compared with.
Json figures(const std::vector<Json>& list) {
  Json all = {{"tags", "V read"}, {"protocol", {"squashed"}}, {"sources", {{"README", "one person"}}}};
  all["figures"] = list;
  return all;
}

Json figure(const std::string& extractor, double value) {
  return {{"source", "README"},     {"tag", "V"},      {"setting", "baseline"},
          {"extractor", extractor}, {"attack", "pgd"}, {"value", value}};
}

class CompareToPaper : public Compare {
 protected:
  Table beside(const Json& published) {
    write_file(folder_ / "figures.json", published.dump());
    return compare_to_paper(folder_ / "a", folder_ / "figures.json");
  }
};

TEST_F(CompareToPaper, SaysWhereAFigureLies) {
  write("a", {{.answers = {{"ann", "x.x."}, {"bob", "xx.."}, {"cid", ".xx."}}}});
  const Table table = beside(figures({figure("dlib", 0), figure("dlib", 0.5), figure("dlib", 1)}));
  ASSERT_EQ(table.rows.size(), 3u);
  for (const auto& [row, verdict] : {std::pair{0u, "ours higher"}, {1u, "within our interval"}, {2u, "ours lower"}})
    EXPECT_EQ(named(table, table.rows[row], "verdict"), verdict);
  EXPECT_DOUBLE_EQ(number(table, 2, "difference"), -0.5);
  EXPECT_EQ(named(table, table.rows[0], "people"), "3");
}

TEST_F(CompareToPaper, WhatHasNoCounterpartComesLastAndSaysSo) {
  write("a", {{.answers = {{"ann", "x."}}}});
  Json clean = figure("dlib", 0.2), either = figure("", 0.3);
  clean["clean_photos"] = "5";
  either["extractor"] = Json{"clip", "dlib"};
  const Table table = beside(figures({figure("magface", 0.1), clean, either}));
  ASSERT_EQ(table.rows.size(), 3u);
  EXPECT_EQ(named(table, table.rows[0], "extractor"), "dlib") << "either of the list is a counterpart";
  for (const auto row : {1u, 2u}) {
    EXPECT_EQ(named(table, table.rows[row], "verdict"), "no counterpart in this run");
    EXPECT_EQ(named(table, table.rows[row], "ours"), "");
  }
  EXPECT_EQ(named(table, table.rows[1], "extractor"), "magface");
  EXPECT_EQ(named(table, table.rows[2], "clean_photos"), "5");
}

TEST_F(CompareToPaper, AStandInIsACounterpartAndSaysSo) {
  write("a", {{.extractor = "ours", .answers = {{"ann", "x."}}}});
  write_file(folder_ / "figures.json", figures({figure("dlib", 0.5), figure("clip", 0.1)}).dump());
  const auto beside_with = [&](const StandIns& stand_ins) {
    return compare_to_paper(folder_ / "a", folder_ / "figures.json", stand_ins);
  };
  const Table table = beside_with({{"dlib", "ours"}});
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_EQ(named(table, table.rows[0], "extractor"), "ours");
  EXPECT_EQ(named(table, table.rows[0], "says"), "ours stands in for dlib");
  EXPECT_EQ(named(table, table.rows[1], "verdict"), "no counterpart in this run");
  EXPECT_EQ(named(table, table.rows[1], "extractor"), "clip") << "what was published";
  EXPECT_EQ(named(table, table.rows[1], "says"), "");
  const auto [code, message] = caught([&] { beside_with({{"dllib", "ours"}}); });
  EXPECT_EQ(code, Exit::usage);
  EXPECT_TRUE(contains(message, "did you mean dlib?")) << message;
  const auto [missing, said] = caught([&] { beside_with({{"clip", "ourz"}}); });
  EXPECT_EQ(missing, Exit::usage);
  EXPECT_TRUE(contains(said, "the run has no recogniser or attack ourz; did you mean ours?")) << said;
}

TEST_F(CompareToPaper, OfSeveralSeedsAllAreMeantAndOfSeveralClassifiersEachUnlessOneIsStated) {
  std::vector<WrittenRun> cells;
  for (const auto* seed : {"1", "2"})
    for (const auto* classifier : {"nearest", "linear"})
      cells.push_back({.seed = seed, .classifier = classifier, .answers = {{"ann", *seed == '1' ? "xx" : ".."}}});
  write("a", cells);
  Json stated = figure("dlib", 0.5);
  stated["classifier"] = "linear";
  EXPECT_EQ(beside(figures({figure("dlib", 0.5)})).rows.size(), 2u);
  const Table table = beside(figures({stated}));
  ASSERT_EQ(table.rows.size(), 1u);
  EXPECT_DOUBLE_EQ(number(table, 0, "ours"), 0.5);
}

TEST_F(CompareToPaper, OtherMeasuresAndWhatDiffersAreNotes) {
  write("a", {{.answers = {{"ann", "x."}}}});
  Json recall = figure("dlib", 0.998);
  recall["measure"] = "detection_recall";
  const Table table = beside(figures({recall}));
  EXPECT_TRUE(table.rows.empty());
  for (const auto* part :
       {"detection_recall 0.998 (README) [V]", "published: squashed", "ours: of one", "README: one person"})
    EXPECT_TRUE(contains(notes_of(table), part)) << notes_of(table);
}

TEST_F(CompareToPaper, AWrongFileOfFiguresIsAUsageError) {
  write("a", {{.answers = {{"ann", "x."}}}});
  Json misspelt = figure("dlib", 0.5), too_large = figure("dlib", 73.7), unknown = figure("dlib", 0.5);
  misspelt["atack"] = "pgd";
  unknown["source"] = "hearsay";
  for (const auto& wrong : {misspelt, too_large, unknown})
    EXPECT_EQ(caught([&] { beside(figures({wrong})); }).code, Exit::usage) << wrong;
}

TEST_F(CompareToPaper, TheFiguresThatShipAreRead) {
  write("a", {{.extractor = "webface", .attack = "lowkey", .answers = {{"ann", "x."}, {"bob", "xx"}}}});
  const Table table = compare_to_paper(folder_ / "a", fs::path(FACEPOISON_ROOT) / "data/paper.json");
  EXPECT_EQ(named(table, table.rows[0], "published"), "0.94");
  EXPECT_EQ(named(table, table.rows.back(), "verdict"), "no counterpart in this run");
}

}  // namespace
}  // namespace facepoison::testing
