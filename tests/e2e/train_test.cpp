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
  EXPECT_TRUE(contains(train("out").err, "is already trained"));
}

TEST_F(E2eTrain, ReplacesNothingThatItDidNotMake) {
  const auto config = read_file(folder_ / "x.json");
  const auto run = train(".");
  EXPECT_EQ(run.code, 2);
  EXPECT_TRUE(contains(run.err, "x.json exists")) << run.err;
  EXPECT_EQ(read_file(folder_ / "x.json"), config);
  write_file(folder_ / "out/x.pt", "somebody's");
  EXPECT_EQ(train("out").code, 2);
  EXPECT_EQ(read_file(folder_ / "out/x.pt"), "somebody's");
}

TEST_F(E2eTrain, KilledAndResumedItEndsWithTheSameWeights) {
  ASSERT_EQ(train("whole").code, 0);
  // Each try is killed a little later, so that it gets farther than the one before.
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
  EXPECT_TRUE(contains(run.err, "continues from here"));
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

// Twins by noise; p00, whom the experiment protects, is excluded.
class E2eTwins : public E2eTrain {
 protected:
  void SetUp() override {
    E2eTrain::SetUp();
    write_config("x.json", twins);
    write_file(folder_ / "judge.json", Json{{"dataset", "dataset"},
                                            {"protected", {"p00"}},
                                            {"extractors", {"./out/x.json"}},
                                            {"attacks", {"none", "noise"}}}
                                           .dump());
  }
  Outcome eval(const std::string& more = "") {
    return run_binary("eval --config judge.json --store store --run-dir run " + more, folder_.path);
  }
  const Json twins = {{"twins", {"noise", {{"preset", "noise"}, {"name", "loud"}, {"epsilon", 0.2}}}},
                      {"twin_transforms", {"none", {{"transform", "jpeg"}, {"quality", 50}}}},
                      {"pair", 0.5},
                      {"held_out", 0},
                      {"exclude", "judge.json"},
                      {"steps", 20}};
};

TEST_F(E2eTwins, ItsCardSaysWhatItSawAndTablesSayIt) {
  ASSERT_EQ(train("out").code, 0);
  const Json card = read_json(folder_ / "out/x.json");
  ASSERT_EQ(card["trained_against"].size(), 2u) << card.dump();
  EXPECT_EQ(card["trained_against"][1]["name"], "loud");
  const Json seen = read_json(folder_ / "out/training/x.seen.json")["trainings"];
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0]["people"].size(), 7u) << "all but the excluded one";
  EXPECT_EQ(seen[0]["photos"].size(), 70u);
  const auto run = eval();
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_TRUE(
      contains(run.out, "trained on 70 photos of 7 people; of those here nobody who is protected, and 7 others"))
      << run.out;

  // A second training also lists what the first one saw.
  write_config("y.json", {{"start", "out/x.json"}, {"steps", 2}, {"exclude", "judge.json"}, {"held_out", 0}});
  ASSERT_EQ(run_binary("train --config y.json --store store -o out", folder_.path).code, 0);
  EXPECT_EQ(read_json(folder_ / "out/training/y.seen.json")["trainings"].size(), 2u);
  EXPECT_EQ(read_json(folder_ / "out/y.json")["trained_against"].size(), 2u);
}

TEST_F(E2eTwins, WhoeverWasTrainedOnCannotBeProtected) {
  ASSERT_EQ(train("out").code, 0);
  const auto named = eval(R"(--set 'protected=["p00","p05"]')");
  EXPECT_EQ(named.code, 2);
  EXPECT_TRUE(contains(named.err, "x was trained on photos of p05")) << named.err;
  // The same photos under other names, in another data set.
  fs::create_directories(folder_ / "elsewhere");
  fs::copy(folder_ / "photos", folder_ / "elsewhere", fs::copy_options::recursive);
  fs::rename(folder_ / "elsewhere/p05", folder_ / "elsewhere/somebody");
  ASSERT_EQ(run_binary("prepare elsewhere --no-detect --canvas 48 --store store -o other", folder_.path).code, 0);
  const auto renamed = eval(R"(--set dataset=other --set 'protected=["somebody"]')");
  EXPECT_EQ(renamed.code, 2) << renamed.out;
  EXPECT_TRUE(contains(renamed.err, "somebody")) << renamed.err;
  fs::remove(folder_ / "out/training/x.seen.json");
  EXPECT_EQ(eval().code, 4);
}

// With "keep" a photo keeps its embedding of the start; its twin moves there.
TEST_F(E2eTwins, KeepTheStartsEmbeddings) {
  write_config("x.json", {{"twins", {{{"preset", "noise"}, {"name", "loud"}, {"epsilon", 0.2}}}},
                          {"loss", {{"kind", "none"}}},
                          {"keep", 10},
                          {"held_out", 0},
                          {"augmentation",
                           {{"flip", 0},
                            {"scale", 0},
                            {"rotate", 0},
                            {"shift", 0},
                            {"light", 0},
                            {"colour", 0},
                            {"grey", 0},
                            {"blur", 0},
                            {"noise", 0},
                            {"jpeg", 0},
                            {"erase", 0}}},
                          {"rate", 0.003},
                          {"steps", 150}});
  ASSERT_EQ(train("out").code, 0);
  ASSERT_EQ(
      run_binary("perturb dataset --attack noise --set epsilon=0.2 --photos all -o loud --store store", folder_.path)
          .code,
      0);
  const auto embedded = [&](const std::string& dataset, const std::string& extractor) {
    const auto run = run_binary(concat("embed ", dataset, " -e ", extractor, " -o x.npy --store store"), folder_.path);
    EXPECT_EQ(run.code, 0) << run.err;
    return read_npy(folder_ / "x.npy");
  };
  const auto start = embedded("dataset", "./fresh.json");
  const auto apart = [&](const std::string& dataset, const std::string& extractor) {
    return (1 - at::cosine_similarity(start, embedded(dataset, extractor), 1)).mean().item<double>();
  };
  EXPECT_LT(apart("loud", "out/x.json"), 0.8 * apart("loud", "./fresh.json"));
  EXPECT_LT(apart("dataset", "out/x.json"), 0.5 * apart("loud", "./fresh.json"));
}

TEST_F(E2eTwins, KilledAndResumedItEndsWithTheSameWeights) {
  ASSERT_EQ(train("whole").code, 0);
  int code = 137;
  for (int tenths = 8; code != 0 && tenths < 300; tenths += 4)
    code = train("killed", "", concat("timeout -s KILL ", tenths / 10, ".", tenths % 10)).code;
  ASSERT_EQ(code, 0);
  EXPECT_EQ(read_file(folder_ / "killed/x.pt"), read_file(folder_ / "whole/x.pt"));
}

TEST_F(E2eTwins, WhatIsWrongIsNamed) {
  const auto fails = [&](const Json& changes, const std::string& word, int code = 2) {
    Json config = twins;
    config.update(changes);
    write_config("x.json", config);
    const auto run = train("out");
    EXPECT_EQ(run.code, code) << changes.dump() << run.err;
    EXPECT_TRUE(contains(run.err, word)) << run.err;
  };
  fails({{"twins", Json::array()}}, "needs \"twins\", and there are none");
  fails({{"twins", {"none"}}}, "does not change photos");
  fails({{"twins", {"nois"}}}, "did you mean noise");
  fails({{"twin_share", 0.5}}, "comes with one of its twins");
  fails({{"batch", {{"people", 4}, {"photos", 3}}}}, "half of them are twins");
  fails({{"frozen", {"nobody."}}}, "no parameter begins with \"nobody.\"");
  fails({{"frozen", {""}}}, "leaves no parameter");
  fails({{"optimiser", "adam"}}, "adamw");
  fails({{"base", "x.json"}}, "does not build on this one");
  EXPECT_FALSE(fs::exists(folder_ / "out/x.json"));
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
  fails({{"batch", {{"people", 6}, {"photos", 2}}}}, "only 5 people are trained on");
  fails({{"batch", {{"people", 4}, {"photos", 3}}}, {"loss", {{"kind", "contrastive"}}}}, "needs exactly 2");
  fails({{"augmentation", {{"flips", 1}}}}, "flip");
  fails({{"loss", {{"kind", "none"}}}}, "teaches nothing without");
  fails({{"card", {{"dimension", 5}}}}, "dimension");
  EXPECT_FALSE(fs::exists(folder_ / "out"));
}

}  // namespace
}  // namespace facepoison::testing
