// Purifiers as a user runs them: training, and the transform in an experiment.
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

// Eight people with ten photos each; p00 and p01 are protected.
class E2ePurifier : public ::testing::Test {
 protected:
  void SetUp() override {
    prepare_drawn(folder_.path, 8, 10);
    write_tiny_extractor(folder_.path);
    write_tiny_purifier(folder_.path, 0, 48, "fresh");
    const Json loud = {{"preset", "noise"}, {"name", "loud"}, {"epsilon", 0.25}};
    const Json config = {{"task", "purifier"},
                         {"start", "./fresh.json"},
                         {"dataset", "dataset"},
                         {"exclude", "x.json"},
                         {"held_out", 2},
                         {"twins", {loud}},
                         {"features", {"./tiny.json"}},
                         {"batch", {{"people", 4}, {"photos", 4}}},
                         {"steps", 60},
                         {"rate", 0.01},
                         {"check_every", 10},
                         {"checkpoint_every", 7}};
    write_file(folder_ / "mine.json", config.dump());
    const Json experiment = {{"dataset", "dataset"},
                             {"protected", {"p00", "p01"}},
                             {"extractors", {"./tiny.json"}},
                             {"attacks", {"none", loud}},
                             {"transforms", {"none", {{"transform", "purifier"}, {"card", "out/mine.json"}}}},
                             {"transform_on", {"gallery+probes"}}};
    write_file(folder_ / "x.json", experiment.dump());
  }
  Outcome train(const std::string& output, const std::string& environment = "") {
    return run_binary("train --config mine.json --store store -o " + output, folder_.path, environment);
  }
  Outcome eval(const std::string& more = "") {
    return run_binary("eval --config x.json --run-dir run --store store " + more, folder_.path);
  }
  TempFolder folder_;
};

TEST_F(E2ePurifier, KilledAndResumedItEndsWithTheSameWeights) {
  ASSERT_EQ(train("whole").code, 0);
  int code = 137;
  for (int tenths = 8; code != 0 && tenths < 300; tenths += 3)
    code = train("killed", concat("timeout -s KILL ", tenths / 10, ".", tenths % 10)).code;
  ASSERT_EQ(code, 0);
  for (const auto* name : {"mine.pt", "training/mine.csv", "golden/mine.npy"})
    EXPECT_EQ(read_file(folder_ / "killed" / name), read_file(folder_ / "whole" / name)) << name;
}

TEST_F(E2ePurifier, IsATransformOfAnExperiment) {
  const auto trained = train("out");
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_EQ(run_binary("check out/mine.json", folder_.path).code, 0);
  EXPECT_EQ(run_binary("list purifiers", folder_.path).code, 0);
  const auto run = eval("--format csv");
  ASSERT_EQ(run.code, 0) << run.err;
  const Table table = parse_csv(run.out, "stdout");
  std::set<std::string> transforms;
  for (const auto& row : table.rows) transforms.insert(named(table, row, "transform"));
  EXPECT_EQ(transforms, (std::set<std::string>{"none", "purifier-mine"}));
  EXPECT_EQ(table.rows.size(), 4u);
  EXPECT_TRUE(contains(eval().err, " 0 made)")) << "its pictures are in the store";
  EXPECT_TRUE(contains(eval().out, "mine: trained on")) << "a note under the table";
  const auto seen = eval(R"(--set 'protected=["p00","p05"]')");
  EXPECT_EQ(seen.code, 2);
  EXPECT_TRUE(contains(seen.err, "mine was trained on photos of p05")) << seen.err;
}

}  // namespace
}  // namespace facepoison::testing
