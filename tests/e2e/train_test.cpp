// The train command as a user runs it, on drawn people and a tiny network.
#include "facepoison/npy.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

class E2eTrain : public ::testing::Test {
 protected:
  void SetUp() override {
    prepare_drawn(folder_.path, 8, 10);
    write_tiny_extractor(folder_.path, 1, "fresh");
    write_config("x.json", Json::object());
  }
  void write_config(const std::string& name, const Json& changes) {
    Json config = {
        {"start", "./fresh.json"},
        {"dataset", "dataset"},
        {"held_out", 3},
        {"batch", {{"people", 4}, {"photos", 2}}},
        {"steps", 60},
        {"log_every", 10},
        {"check_every", 20},
        {"checkpoint_every", 7},
        {"loss", {{"kind", "arcface"}, {"scale", 8}}},
        {"card", {{"title", "a trained tiny network"}, {"in_style_of", {{"name", "ArcFace"}, {"year", "2018"}}}}}};
    config.update(changes);
    write_file(folder_ / name, config.dump());
  }
  Outcome train(const std::string& output, const std::string& more = "", const std::string& environment = "") {
    return run_binary(concat("train --config x.json --store store -o ", output, " ", more), folder_.path, environment);
  }
  TempFolder folder_;
};

TEST_F(E2eTrain, ATrainedRecogniserEntersAsAnyOther) {
  const auto run = train("out");
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(run.out, "");
  const Table log = read_csv(folder_ / "out/training/x.csv");
  EXPECT_EQ(log.columns, (std::vector<std::string>{"step", "loss", "rate", "held_out_accuracy"}));
  ASSERT_EQ(log.rows.size(), 6u);
  EXPECT_LT(as_number(log.rows.back()[1], "loss"), as_number(log.rows.front()[1], "loss"));
  EXPECT_EQ(text(log.rows[0][3]), "");
  EXPECT_GE(as_number(log.rows[1][3], "accuracy"), 0);
  const Json card = read_json(folder_ / "out/x.json");
  EXPECT_EQ(card["sha256"], sha256_of_file(folder_ / "out/x.pt"));
  EXPECT_EQ(card["in_style_of"]["name"], "ArcFace");
  EXPECT_EQ(card["released"].get<std::string>().size(), 7u) << "the month of the training";
  EXPECT_FALSE(fs::exists(folder_ / "out/training/x.checkpoint"));
  EXPECT_EQ(run_binary("check out/x.json", folder_.path).code, 0);
  ASSERT_EQ(run_binary("embed dataset -e out/x.json -o trained.npy --store store", folder_.path).code, 0);
  ASSERT_EQ(run_binary("embed dataset -e ./fresh.json -o fresh.npy --store store", folder_.path).code, 0);
  EXPECT_FALSE(torch::equal(read_npy(folder_ / "trained.npy"), read_npy(folder_ / "fresh.npy")));
  EXPECT_TRUE(contains(train("out").err, "trained already"));
}

TEST_F(E2eTrain, ReplacesNothingThatItDidNotMake) {
  const auto config = read_file(folder_ / "x.json");
  const auto run = train(".");
  EXPECT_EQ(run.code, 2);
  EXPECT_TRUE(contains(run.err, "x.json is there already")) << run.err;
  EXPECT_EQ(read_file(folder_ / "x.json"), config);
  write_file(folder_ / "out/x.pt", "somebody's");
  EXPECT_EQ(train("out").code, 2);
  EXPECT_EQ(read_file(folder_ / "out/x.pt"), "somebody's");
}

TEST_F(E2eTrain, KilledAndResumedItEndsWithTheSameWeights) {
  ASSERT_EQ(train("whole").code, 0);
  // Each try is killed a little later, so that every one gets beyond the one before.
  int kills = 0, code = 137;
  for (int tenths = 8; code != 0 && tenths < 300; tenths += 3, ++kills)
    code = train("killed", "", concat("timeout -s KILL ", tenths / 10, ".", tenths % 10)).code;
  ASSERT_EQ(code, 0);
  EXPECT_EQ(read_file(folder_ / "killed/x.pt"), read_file(folder_ / "whole/x.pt")) << "after " << kills << " tries";
  EXPECT_EQ(read_file(folder_ / "killed/training/x.csv"), read_file(folder_ / "whole/training/x.csv"));
}

TEST_F(E2eTrain, InterruptedItLeavesACheckpointAndGoesOn) {
  write_config("x.json", {{"steps", 100000}});
  // Ctrl-C once the log has its first line.
  const std::string interrupted =
      R"(sh -c 'rm -f out/training/x.csv; "$@" & i=0; while [ ! -f out/training/x.csv ] && [ $i -lt 600 ])"
      R"(; do sleep 0.1; i=$((i+1)); done; kill -INT $!; wait $!' sh)";
  const auto run = train("out", "", interrupted);
  EXPECT_EQ(run.code, 130) << run.err;
  EXPECT_TRUE(contains(run.err, "goes on from here"));
  ASSERT_TRUE(fs::exists(folder_ / "out/training/x.checkpoint"));
  EXPECT_FALSE(fs::exists(folder_ / "out/x.json")) << "no card before the end";
  const auto again = train("out", "", interrupted);
  EXPECT_EQ(again.code, 130) << again.err;
  EXPECT_TRUE(contains(again.err, "going on after step")) << again.err;
  const auto other = train("out", "--set rate=0.5");
  EXPECT_EQ(other.code, 2);
  EXPECT_TRUE(contains(other.err, "another config"));
  write_file(folder_ / "out/training/x.checkpoint", "PK half a file");
  EXPECT_EQ(train("out").code, 3);
}

TEST_F(E2eTrain, WhatIsWrongInAConfigIsNamed) {
  const auto fails = [&](const Json& changes, const std::string& word) {
    write_config("x.json", changes);
    const auto run = train("out");
    EXPECT_EQ(run.code, 2) << changes.dump() << run.err;
    EXPECT_TRUE(contains(run.err, word)) << run.err;
  };
  fails({{"stepz", 5}}, "steps");
  fails({{"held_out", 7}}, "held_out");
  fails({{"people", 6}}, "are left to train on");
  fails({{"batch", {{"people", 6}, {"photos", 2}}}}, "only 5 are trained on");
  fails({{"batch", {{"people", 4}, {"photos", 3}}}, {"loss", {{"kind", "contrastive"}}}}, "compares 2");
  fails({{"augmentation", {{"flips", 1}}}}, "flip");
  fails({{"card", {{"dimension", 5}}}}, "dimension");
  EXPECT_FALSE(fs::exists(folder_ / "out"));
}

}  // namespace
}  // namespace facepoison::testing
