// The tables of a run folder, on run folders with numbers computed by hand.
#include <cmath>

#include "facepoison/report.hpp"
#include "facepoison/spec.hpp"
#include "facepoison/stats.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

// Each cell by the named columns; NaN for an unknown one.
using Numbers = std::vector<double>;

class RunTables : public ::testing::Test {
 protected:
  void SetUp() override {
    config_ = parse_json(R"({"extractors": [{"name": "old", "released": "2015"}],
                             "attacks": [{"name": "none", "attacked": []},
                                         {"name": "pgd", "attacked": ["old"], "strategies": {"old": "surrogate"}}]})",
                         "the config");
    write("run.json", R"({"notes": []})");
    write("budget.csv", "attack,status,linf,dssim,dssim_seen,psnr\n");
    write("trials.csv", "extractor,attack,classifier,protected,id,predicted,distance,correct,rank\n");
    write("others.csv", "extractor,attack,classifier,protected,n,errors,as_protected\n");
  }

  void write(const std::string& name, const std::string& text) { write_file(folder_ / name, text); }

  // A row of trials.csv for each answer: x wrong, . right, 0 if the person is not enrolled.
  void write_trials(const std::vector<std::array<std::string, 3>>& games) {
    std::string trials = "extractor,attack,filter,classifier,seed,protected,id,predicted,correct,rank\n",
                others = "extractor,attack,filter,classifier,seed,protected,n,errors,as_protected\n";
    for (const auto& [at, person, answers] : games) {
      for (std::size_t i = 0; i < answers.size(); ++i)
        trials += concat(at, ",", person, ",", person, "/", i, ",", answers[i] == '.' ? person : "zoe", ",",
                         answers[i] == '.', ",",
                         answers[i] == '0'   ? "0"
                         : answers[i] == '.' ? "1"
                                             : "2",
                         "\n");
      others += concat(at, ",", person, ",10,", answers.size(), ",0\n");
    }
    write("trials.csv", trials);
    write("others.csv", others);
  }

  Table made(const std::string& name) {
    write("config.resolved.json", config_.dump());
    return table_row(name).make(folder_.path);
  }

  void expect(const Table& table, std::size_t row, const std::vector<std::string>& columns, const Numbers& expected) {
    ASSERT_LT(row, table.rows.size());
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const double found = number_of(table.rows[row][column(table, columns[i], "the table")], columns[i]);
      if (std::isnan(expected[i]))
        EXPECT_TRUE(std::isnan(found)) << columns[i] << " of row " << row << " is " << found;
      else
        EXPECT_NEAR(found, expected[i], 1e-12) << columns[i] << " of row " << row;
    }
  }

  TempFolder folder_;
  Json config_;
};

TEST_F(RunTables, ProtectionIsTheMeanOfPeoplesRates) {
  write_trials({{"old,none,none,nearest,0", "ann", "x..."},
                {"old,none,none,nearest,0", "bob", ".."},
                {"old,pgd,none,nearest,0", "ann", "xxxx"},
                {"old,pgd,none,nearest,0", "bob", "x."}});
  const Table table = made("protection");
  const std::vector<std::string> columns = {"people", "n", "protection", "low", "high", "others_error", "others_n"};
  const auto clean = protection_interval(std::vector<double>{.25, 0}, 6),
             posted = protection_interval(std::vector<double>{1, .5}, 6);
  expect(table, 0, columns, {2, 6, .125, clean.low, clean.high, 6. / 20, 20});
  expect(table, 1, columns, {2, 6, .75, posted.low, posted.high, 6. / 20, 20});
  EXPECT_EQ(named(table, table.rows[0], "surrogate"), "no");
  EXPECT_EQ(named(table, table.rows[1], "surrogate"), "yes");
  EXPECT_EQ(named(table, table.rows[0], "strategy"), "");
  EXPECT_EQ(named(table, table.rows[1], "strategy"), "surrogate");
}

TEST_F(RunTables, WhomAFilterLeavesNoPhotoIsNotEnrolledAndARowOfNobodyHasNoNumbers) {
  write_trials({{"old,pgd,none,nearest,0", "ann", "xx"},
                {"old,pgd,none,nearest,0", "bob", "x."},
                {"old,pgd,keeps-ann,nearest,0", "ann", "x."},
                {"old,pgd,keeps-ann,nearest,0", "bob", "00"},
                {"old,pgd,keeps-nobody,nearest,0", "ann", "00"},
                {"old,pgd,keeps-nobody,nearest,0", "bob", "00"}});
  const std::vector<std::string> columns = {"people", "n", "protection", "low", "high", "others_error", "not_enrolled"};
  const Table table = made("protection");
  ASSERT_EQ(table.rows.size(), 3u);
  expect(table, 1, columns, {1, 2, .5, 0, 1, 4. / 20, 1});
  expect(table, 2, columns, {0, 0, unknown, unknown, unknown, unknown, 2});
  const auto rows = parse_json(print(table, Format::json), "the table").at("rows");
  for (const auto* name : {"protection", "low", "high", "others_error"})
    EXPECT_TRUE(rows.at(2).at(name).is_null()) << rows.at(2);
  EXPECT_EQ(named(table, table.rows[2], "protection"), "");
  const Table difference = differences_of_run(folder_.path, "filter", "none");
  ASSERT_EQ(difference.rows.size(), 1u) << "a row of nobody differs from nothing";
  expect(difference, 0, {"people", "protection", "against", "difference"}, {1, .5, 1, -.5});
}

TEST_F(RunTables, WithoutOtherPeopleTheirErrorIsUnknown) {
  write_trials({{"old,none,none,nearest,0", "ann", "x."}});
  write("others.csv", "extractor,attack,classifier,protected,n,errors,as_protected\nold,none,nearest,ann,0,0,0\n");
  const Table table = made("protection");
  expect(table, 0, {"people", "protection", "others_error"}, {1, .5, unknown});
}

TEST_F(RunTables, AProbeThatTwoSeedsJudgeIsOneProbeOfAllPeople) {
  write_trials({{"old,pgd,none,nearest,0", "ann", "xx.."},
                {"old,pgd,none,nearest,0", "bob", "x."},
                {"old,pgd,none,nearest,1", "bob", "xx"},
                {"old,pgd,none,nearest,1", "cid", "......"}});
  write("rows.csv",
        "extractor,attack,filter,classifier,seed,left_out\n"
        "old,pgd,none,nearest,0,1\nold,pgd,none,nearest,1,1\n");
  config_["protected"] = parse_json(R"({"0": ["ann", "bob", "dan"], "1": ["bob", "cid", "dan"]})", "people");
  const std::vector<std::string> columns = {"people", "n", "protection", "left_out"};
  const Table table = made("protection");
  ASSERT_EQ(table.rows.size(), 3u);
  expect(table, 0, columns, {2, 6, .5, 1});
  expect(table, 1, columns, {2, 8, .5, 1});
  expect(table, 2, columns, {3, 12, (.5 + .75 + 0) / 3, 1});
  EXPECT_EQ(named(table, table.rows[2], "seed"), "all");
  const Table first = made("rank");  // first 1, 2, 5, 10, 50; who is wrong is second
  expect(first, 2, {"first", "people", "n", "share"}, {1, 3, 12, 1 - (.5 + .75 + 0) / 3});
  expect(first, 5, {"first", "people", "n", "share"}, {2, 3, 12, 1});
}

TEST_F(RunTables, WhatTwoSeedsMeasureOfAPhotoIsOneNumber) {
  write_trials({{"old,pgd,none,nearest,0", "ann", "."}, {"old,pgd,none,nearest,1", "cid", "."}});
  write("displacements.csv",
        "extractor,attack,classifier,seed,protected,id,moved,nearest_other\n"
        "old,pgd,,0,ann,ann/0,1,2\nold,pgd,,0,ann,ann/1,3,2\n"
        "old,pgd,,0,bob,bob/0,1,2\nold,pgd,,0,bob,bob/1,4,2\n"
        "old,pgd,,1,bob,bob/1,1,2\nold,pgd,,1,bob,bob/2,3,2\n"
        "old,pgd,,1,cid,cid/0,5,2\n");
  const std::vector<std::string> columns = {"people", "n", "moved", "nearest_other", "beyond"};
  const Table moved = made("displacement");
  ASSERT_EQ(moved.rows.size(), 3u);
  expect(moved, 0, columns, {2, 4, (2 + 2.5) / 2, 2, .5});
  expect(moved, 1, columns, {2, 3, (2 + 5) / 2., 2, .75});
  // bob's photos: 1; 4 and 1, so 2.5, half beyond; 3.
  expect(moved, 2, columns, {3, 6, (2 + (1 + 2.5 + 3) / 3 + 5) / 3, 2, (.5 + 1.5 / 3 + 1) / 3});
  write("pairs.csv",
        "extractor,attack,classifier,seed,protected,genuine,impostors,auc,accepted_at_0.01,accepted_at_0.001\n"
        "old,pgd,,0,ann,12,100,1,1,1\nold,pgd,,0,bob,8,100,.5,1,0\n"
        "old,pgd,,1,bob,8,100,1,0,0\nold,pgd,,1,cid,4,100,.75,0,0\n");
  const Table pairs = made("verification");
  expect(pairs, 2, {"people", "n", "value"}, {3, 24, 2.5 / 3});
  EXPECT_EQ(named(pairs, pairs.rows[2], "seed") + named(pairs, pairs.rows[2], "measure"), "allauc");
}

TEST_F(RunTables, WhatCouldNotBeMeasuredIsPassedOver) {
  write_trials({{"old,pgd,none,nearest,0", "ann", "."}});
  write("pairs.csv",
        "extractor,attack,classifier,protected,genuine,impostors,auc,accepted_at_0.01,accepted_at_0.001\n"
        "old,none,,ann,12,0,,,\n"
        "old,pgd,,ann,12,0,,,\nold,pgd,,bob,8,5,.5,1,nan\n");
  const Table pairs = made("verification");
  const std::vector<std::string> columns = {"people", "n", "value", "low", "high"};
  expect(pairs, 0, columns, {0, 0, unknown, unknown, unknown});
  expect(pairs, 1, columns, {1, 8, .5, 0, 1});
  expect(pairs, 5, columns, {0, 0, unknown, unknown, unknown});
  write("displacements.csv",
        "extractor,attack,classifier,protected,id,moved,nearest_other\n"
        "old,pgd,,ann,ann/0,1,\nold,pgd,,ann,ann/1,3,2\n");
  expect(made("displacement"), 0, {"people", "n", "moved", "nearest_other", "beyond"}, {1, 1, 2, 2, 1});
}

TEST_F(RunTables, WhoseTrackerIsDoneKeepsTheLastNumbers) {
  write_trials({{"old,pgd,none,nearest,0", "ann", "."}, {"old,pgd,none,nearest,1", "ann", "."}});
  write("rounds.csv",
        "extractor,attack,classifier,seed,protected,mode,round,last,photos,added_right,added_wrong\n"
        "old,pgd,nearest,0,ann,believed,1,0,4,1,0\nold,pgd,nearest,0,ann,believed,2,0,4,2,3\n"
        "old,pgd,nearest,0,ann,believed,3,1,4,4,5\nold,pgd,nearest,0,ann,oracle,1,1,4,1,0\n"
        "old,pgd,nearest,0,bob,believed,1,1,2,0,0\nold,pgd,nearest,0,bob,oracle,1,1,2,0,0\n"
        "old,pgd,nearest,0,cid,believed,1,1,0,0,9\nold,pgd,nearest,0,cid,oracle,1,1,0,0,0\n"
        "old,pgd,nearest,1,ann,believed,1,1,4,0,1\nold,pgd,nearest,1,ann,oracle,1,1,4,0,0\n");
  const std::vector<std::string> columns = {"round", "people", "n", "added_right", "added_wrong", "found"};
  const Table table = made("growth");
  ASSERT_EQ(table.rows.size(), 2u * 3 * 3) << "modes, rounds, and two seeds with a row for both";
  expect(table, 0, columns, {1, 2, 6, .5, 0, (.25 + 0) / 2});
  expect(table, 3, columns, {2, 2, 6, 1, 1.5, (.5 + 0) / 2});
  expect(table, 6, columns, {3, 2, 6, 2, 2.5, (1 + 0) / 2.});
  expect(table, 7, columns, {3, 1, 4, 0, 1, 0});
  expect(table, 8, columns, {3, 2, 6, (2 + 0) / 2., (3 + 0) / 2., (.5 + 0) / 2});
  expect(table, 15, columns, {3, 2, 6, .5, 0, (.25 + 0) / 2});
  EXPECT_EQ(named(table, table.rows[8], "seed") + named(table, table.rows[8], "mode"), "allbelieved");
  EXPECT_EQ(named(table, table.rows[15], "mode"), "oracle");
  const auto interval = protection_interval(std::vector<double>{.25, 0}, 6);
  expect(table, 0, {"low", "high"}, {interval.low, interval.high});
  write("growth.csv", print(table, Format::csv));
  EXPECT_EQ(matrix(read_table(folder_ / "growth.csv"), "found").rows.size(), 2u * 3 * 3);
}

TEST_F(RunTables, LinkageAndImpersonationAreMeansOverPeople) {
  write_trials({{"old,pgd,none,nearest,0", "ann", "."}});
  write("links.csv",
        "extractor,attack,classifier,protected,queries,pairs,photos,clean_in_clean,clean_in_posted,posted_in_clean,"
        "posted_in_posted,tar_at_0.001,tar_at_0.01,bcubed_precision,bcubed_recall,bcubed_f\n"
        "old,pgd,,ann,2,6,4,1,.5,.25,1,0,.5,1,.5,.75\nold,pgd,,bob,0,0,1,,,,,,,.5,1,.25\n");
  const std::vector<std::string> columns = {"people", "n", "value"};
  const Table links = made("linkage");
  ASSERT_EQ(links.rows.size(), 9u);
  expect(links, 1, columns, {1, 2, .5});
  expect(links, 4, columns, {1, 6, .5});
  expect(links, 6, columns, {2, 5, .75});
  expect(links, 8, columns, {2, 5, .5});
  EXPECT_EQ(named(links, links.rows[4], "measure"), "tar_at_0.01");
  EXPECT_EQ(named(links, links.rows[8], "measure"), "bcubed_f");
  write("impersonations.csv",
        "extractor,attack,classifier,protected,target,own_pairs,target_pairs,threshold_at_0.001,threshold_at_0.01,"
        "threshold_at_0.1,dodging_at_0.001,dodging_at_0.01,dodging_at_0.1,impersonation_at_0.001,"
        "impersonation_at_0.01,impersonation_at_0.1\n"
        "old,pgd,,ann,eve,12,20,.5,.25,.125,1,.5,0,0,.25,.5\nold,pgd,,bob,ann,0,5,.5,.25,.125,,,,0,.75,1\n");
  const Table passing = made("impersonation");
  ASSERT_EQ(passing.rows.size(), 6u);
  const std::vector<std::string> shown = {"far", "threshold", "people", "n", "share"};
  expect(passing, 0, shown, {.001, .5, 1, 12, 1});
  expect(passing, 3, shown, {.01, .25, 2, 25, .5});
  expect(passing, 5, shown, {.1, .125, 2, 25, .75});
  EXPECT_EQ(named(passing, passing.rows[2], "measure") + named(passing, passing.rows[3], "measure"),
            "dodgingimpersonation");
}

TEST_F(RunTables, DetectionWeighsPeopleAlikeAndCountsAPhotoOnce) {
  const std::string columns = "detector,trained_on,threshold,attack,transform,seed,protected,id,clean,perturbed\n";
  std::string rows;
  const auto add = [&](const std::string& photo, int seed, double clean, double perturbed) {
    rows += concat("net,pgd,.5,pgd,none,", seed, ",", photo.substr(0, 3), ",", photo, ",", clean, ",", perturbed, "\n");
  };
  const auto add_all = [&](int seed) {
    for (int i = 0; i < 4; ++i) add(concat("ann/", i), seed, .1, .9);  // all found, none of the clean ones flagged
    add("bob/0", seed, .6, .4);                                        // missed, and the clean one flagged
  };
  const std::vector<std::string> shown = {"people", "photos",       "precision", "recall",
                                          "auc",    "false_alarms", "low",       "high"};
  const auto interval = protection_interval(std::vector<double>{1, 0}, 5);
  // Of 25 pairs a clean one (.1) is below .9 or .4 in 20, bob's (.6) below .9 in 4.
  const Numbers expected = {2, 5, .5, .5, 24. / 25, .5, interval.low, interval.high};
  for (const int seed : {0, 1}) {
    add_all(seed);
    write("detections.csv", columns + rows);
    const Table table = made("detection");
    ASSERT_EQ(table.rows.size(), 1u);
    expect(table, 0, shown, expected);
    expect(table, 0, {"precision_at_1_percent"}, {.01});
  }
}

TEST_F(RunTables, APrecisionOfNothingFlaggedIsUnknown) {
  write("detections.csv",
        "detector,trained_on,threshold,attack,transform,seed,protected,id,clean,perturbed\n"
        "net,pgd,1,pgd,none,0,ann,ann/0,.2,.9\n");
  const Table table = made("detection");
  expect(table, 0, {"recall", "false_alarms", "precision", "precision_at_1_percent"}, {0, 0, unknown, unknown});
  EXPECT_TRUE(contains(print(table, Format::csv), ",none,1,1,,0,1,")) << print(table, Format::csv);
  EXPECT_TRUE(contains(print(table, Format::json), "\"precision\": null")) << print(table, Format::json);
}

TEST_F(RunTables, ConfusionSaysWhomProbesGoTo) {
  write("trials.csv",
        "extractor,attack,classifier,protected,id,predicted,correct\n"
        "old,pgd,nearest,ann,0,bob,0\nold,pgd,nearest,ann,1,bob,0\nold,pgd,nearest,ann,2,cid,0\n"
        "old,pgd,nearest,ann,3,ann,1\nold,pgd,nearest,bob,0,cid,0\nold,pgd,nearest,bob,1,bob,1\n"
        "old,none,nearest,ann,0,ann,1\n");
  write("others.csv",
        "extractor,attack,classifier,protected,n,errors,as_protected\n"
        "old,pgd,nearest,ann,10,3,2\nold,pgd,nearest,bob,9,3,1\nold,none,nearest,ann,10,0,0\n");
  const Table table = made("confusion");
  const std::vector<std::string> columns = {"n",          "wrong",    "names",       "concentration",
                                            "most_share", "others_n", "as_protected"};
  expect(table, 0, columns, {6, 4, 1.5, (2. / 3 + 1) / 2, .5, 19, 3});
  expect(table, 1, columns, {1, 0, unknown, unknown, unknown, 10, 0});
  EXPECT_EQ(named(table, table.rows[0], "most"), "bob") << "of equals the first by name";
  EXPECT_TRUE(contains(print(table, Format::json), "\"most\": null"));
}

TEST_F(RunTables, OpenSetHasItsThresholdFromStrangers) {
  config_["false_positive_rate"] = .25;
  write("strangers.csv",
        "extractor,transform,transform_on,seed,classifier,person,id,predicted,distance\n"
        "old,none,,0,nearest,eve,0,ann,4\nold,none,,0,nearest,eve,1,ann,1\n"
        "old,none,,0,nearest,fay,0,ann,3\nold,none,,0,nearest,fay,1,ann,2\n");
  const std::string columns = "extractor,attack,enrolled,classifier,protected,id,predicted,distance,correct,rank\n";
  write("trials.csv", columns +
                          "old,pgd,replaced,nearest,ann,0,ann,1,1,1\nold,pgd,replaced,nearest,ann,1,bob,1,0,2\n"
                          "old,pgd,replaced,nearest,ann,2,ann,2,1,1\nold,pgd,replaced,nearest,ann,3,,,0,0\n"
                          "old,none,absent,nearest,ann,0,bob,1.5,0,0\nold,none,absent,nearest,ann,1,bob,3,0,0\n");
  const Table table = made("open-set");
  ASSERT_EQ(table.rows.size(), 2u);
  // One of four strangers is nearer than 2. Of ann's probes one gets another name, one is not near enough, and one has
  // no answer, since a filter left nobody in the gallery.
  expect(table, 0, {"threshold", "strangers", "people", "n", "share"}, {2, 4, 1, 4, .75});
  expect(table, 1, {"threshold", "strangers", "people", "n", "share"}, {2, 4, 1, 2, .5});
  EXPECT_EQ(named(table, table.rows[0], "measure") + named(table, table.rows[1], "measure"), "fnirfpir");
}

TEST_F(RunTables, TheCurveIsOfPeoplesRates) {
  write_trials({{"old,pgd,none,nearest,0", "ann", "."}});
  write("thresholds.csv",
        "extractor,attack,classifier,protected,share,threshold,n,errors,others_n,others_errors\n"
        "old,pgd,nearest,ann,.5,2,4,1,10,1\nold,pgd,nearest,bob,.5,4,2,1,10,3\n"
        "old,pgd,nearest,ann,1,-inf,4,0,0,0\nold,pgd,nearest,bob,1,,2,0,0,0\n");
  const Table table = made("threshold");
  const std::vector<std::string> columns = {"share", "tau", "people", "n", "protection", "others_error"};
  expect(table, 0, columns, {.5, 3, 2, 6, .375, .2});
  expect(table, 1, columns, {1, unknown, 2, 6, 0, unknown});
}

TEST_F(RunTables, ADifferenceOverNobodyIsNoNumber) {
  write_trials({{"old,pgd,none,nearest,0", "ann", "xx"}, {"old,pgd,none,nearest,1", "bob", ".."}});
  made("protection");
  EXPECT_NO_THROW(differences_of_run(folder_.path, "seed", "all"));
  write_trials({{"old,pgd,none,nearest,0", "ann", "xx"}, {"old,pgd,none,linear,0", "bob", ".."}});
  const auto [code, message] = caught([&] { differences_of_run(folder_.path, "classifier", "nearest"); });
  EXPECT_EQ(code, Exit::input);
  EXPECT_TRUE(contains(message, "nobody in common")) << message;
  write_trials({{"old,none,none,nearest,0", "ann", "x."},
                {"old,none,none,linear,0", "ann", ".."},
                {"old,pgd,none,nearest,0", "ann", "xx"},
                {"old,pgd,none,linear,0", "bob", ".."}});
  const Table table = differences_of_run(folder_.path, "classifier", "nearest");
  const std::vector<std::string> columns = {"people", "protection", "against", "difference", "low", "high", "p"};
  expect(table, 0, columns, {1, 0, .5, -.5, -1, 1, 1});
  expect(table, 1, columns, {0, unknown, unknown, unknown, unknown, unknown, unknown});
  EXPECT_EQ(named(table, table.rows[1], "reading"), "nobody in common");
}

TEST_F(RunTables, AgainstAValueInEitherUnicodeForm) {
  write_trials({{"old,pgd,none,jos\u00e9,0", "ann", "xx"}, {"old,pgd,none,nearest,0", "ann", ".x"}});
  made("protection");
  EXPECT_EQ(differences_of_run(folder_.path, "classifier", "jose\u0301").rows.size(), 1u);
}

TEST_F(RunTables, AVerdictNeedsSixPeopleWhoDiffer) {
  const auto reading = [&](int people, int differing) {
    std::vector<std::array<std::string, 3>> games;
    for (const auto* attack : {"none", "pgd"})
      for (int p = 0; p < people; ++p)
        games.push_back(
            {concat("old,", attack, ",none,nearest,0"), concat("p", p), *attack == 'p' && p < differing ? "xx" : ".."});
    write_trials(games);
    made("protection");
    const Table table = differences_of_run(folder_.path, "attack", "none");
    return named(table, table.rows.at(0), "reading");
  };
  for (const int people : {1, 2, 5}) EXPECT_EQ(reading(people, people), "too few people") << people;
  EXPECT_EQ(reading(2, 0), "too few people") << "no width either";
  EXPECT_EQ(reading(6, 6), "above 0");
  EXPECT_EQ(reading(6, 5), "too few people") << "the interval is above 0, and p is 1/16";
  EXPECT_EQ(reading(6, 1), "the interval includes 0");
}

}  // namespace
}  // namespace facepoison::testing
