// Cloak detectors as a user runs them: training, scores of photos, the table detection, and the filter; and the
// classifier that is trained end to end.
#include "facepoison/npy.hpp"
#include "facepoison/seen.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

// Writes noisy.pt and noisy.json: one number, the difference of neighbouring pixels.
void write_noise_meter(const fs::path& folder) {
  write_tiny_extractor(folder, 1, "noisy");
  torch::jit::Module module("noisy");
  module.register_parameter("scale", torch::ones({1}), false);
  module.define(
      "def forward(self, x):\n  d = x[:, :, :, 1:] - x[:, :, :, :-1]\n"
      "  return torch.mean(torch.abs(d), [1, 2, 3]).unsqueeze(1) * self.scale\n");
  module.save((folder / "noisy.pt").string());
  Json card = read_json(folder / "noisy.json");
  card["sha256"] = sha256_of_file(folder / "noisy.pt");
  card["dimension"] = 1;
  card["input"]["side"] = 48;
  write_file(folder / "noisy.json", card.dump());
}

// Eight people with ten photos each, and a statistic that sees noise of 60 grey levels: p00 and p01 are protected.
class E2eCloakDetector : public ::testing::Test {
 protected:
  void SetUp() override {
    prepare_drawn(folder_.path, 8, 10);
    write_tiny_extractor(folder_.path, 1, "fresh");
    write_noise_meter(folder_.path);
    write_config("detector.json", Json::object());
    const Json experiment = {{"dataset", "dataset"},
                             {"protected", {"p00", "p01"}},
                             {"extractors", {"./fresh.json"}},
                             {"attacks", {"none", loud}},
                             {"classifiers", {"nearest"}}};
    write_file(folder_ / "x.json", experiment.dump());
  }
  void write_config(const std::string& name, const Json& changes) {
    Json config = {{"task", "cloak-detector"},
                   {"start", "./noisy.json"},
                   {"dataset", "dataset"},
                   {"exclude", "x.json"},
                   {"held_out", 2},
                   {"twins", {loud}},
                   {"batch", {{"people", 4}, {"photos", 4}}},
                   {"steps", 60},
                   {"rate", 0.05},
                   {"check_every", 10},
                   {"checkpoint_every", 7},
                   {"augmentation", quiet()},
                   {"loss", {{"kind", "cloaked"}}},
                   {"card", {{"title", "sees noise"}}}};
    config.update(changes);
    write_file(folder_ / name, config.dump());
  }
  // Only mirrored.
  static Json quiet() {
    Json how;
    for (const auto* key : {"scale", "rotate", "shift", "light", "colour", "grey", "blur", "noise", "jpeg", "erase"})
      how[key] = 0;
    return how;
  }
  Outcome run(const std::string& command, const std::string& environment = "") {
    return run_binary(command + " --store store", folder_.path, environment);
  }
  void train() {
    const auto trained = run("train --config detector.json -o out");
    ASSERT_EQ(trained.code, 0) << trained.err;
  }
  static std::size_t flagged(const Table& table) {
    std::size_t count = 0;
    for (const auto& row : table.rows) count += named(table, row, "perturbed") == "1";
    return count;
  }
  const Json loud = {{"preset", "noise"}, {"name", "loud"}, {"epsilon", 0.25}};
  TempFolder folder_;
};

TEST_F(E2eCloakDetector, TellsPerturbedPhotosOfPeopleWhomItNeverSaw) {
  train();
  const Card card = read_card((folder_ / "out/detector.json").string(), {Task::cloak_detector});
  EXPECT_EQ(card.dimension, 1);
  EXPECT_GT(card.threshold, 0);
  EXPECT_EQ(card.trained_against, std::vector<std::string>{"loud"});
  const auto seen = trainings_of(card);
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].people.size(), 6u) << "those held out chose the threshold, so they were seen";
  EXPECT_FALSE(seen[0].people.count("p00") || seen[0].people.count("p01")) << "excluded";
  EXPECT_EQ(read_csv(folder_ / "out/training/detector.csv").columns.back(), "held_out_loss");
  EXPECT_EQ(run_binary("check out/detector.json", folder_.path).code, 0);
  const auto golden = read_npy(folder_ / "out/golden/detector.npy");
  write_npy(folder_ / "out/golden/detector.npy", golden * 1.02);  // of the same sign
  EXPECT_EQ(run_binary("check out/detector.json", folder_.path).code, 4);

  ASSERT_EQ(run("perturb dataset --attack noise --set epsilon=0.25 -o loud --people p00,p01").code, 0);
  const auto clean = run("detect dataset --detector out/detector.json");
  ASSERT_EQ(clean.code, 0) << clean.err;
  const Table all = parse_csv(clean.out, "stdout");
  EXPECT_EQ(all.columns, (std::vector<std::string>{"id", "person", "score", "perturbed"}));
  EXPECT_EQ(all.rows.size(), 80u);
  EXPECT_LE(flagged(all), 4u);
  const auto perturbed = run("detect loud --detector out/detector.json");
  ASSERT_EQ(perturbed.code, 0) << perturbed.err;
  const Table found = parse_csv(perturbed.out, "stdout");
  EXPECT_EQ(flagged(found), 14u) << "p00's and p01's photos for training, which alone are perturbed";
}

TEST_F(E2eCloakDetector, AFlatFolderHasNobodysPhotos) {
  train();
  for (int v = 0; v < 3; ++v) write_file(folder_ / concat("flat/", v, ".png"), encode_png(draw_photo(0, v)));
  const auto run = this->run("detect flat --detector out/detector.json --format json");
  ASSERT_EQ(run.code, 0) << run.err;
  const Json printed = Json::parse(run.out);
  ASSERT_EQ(printed.at("rows").size(), 3u);
  for (const auto& row : printed.at("rows")) {
    EXPECT_EQ(row.at("person"), "");
    EXPECT_GE(row.at("score").get<double>(), 0);
    EXPECT_LE(row.at("score").get<double>(), 1);
  }
}

TEST_F(E2eCloakDetector, KilledAndResumedItEndsWithTheSameWeightsAndThreshold) {
  train();
  int code = 137;
  for (int tenths = 8; code != 0 && tenths < 300; tenths += 3)
    code =
        run("train --config detector.json -o killed", concat("timeout -s KILL ", tenths / 10, ".", tenths % 10)).code;
  ASSERT_EQ(code, 0);
  EXPECT_EQ(read_file(folder_ / "killed/detector.pt"), read_file(folder_ / "out/detector.pt"));
  EXPECT_EQ(read_json(folder_ / "killed/detector.json")["threshold"],
            read_json(folder_ / "out/detector.json")["threshold"]);
}

TEST_F(E2eCloakDetector, BadInputIsOneLine) {
  train();
  struct Case {
    std::string command;
    Json changes;  // of the training's config
    int code;
    std::string message;
  };
  const std::vector<Case> cases = {
      {"detect dataset --detector ./fresh.json", {}, 4, "fresh is a recogniser"},
      {"detect dataset --detector dlib", {}, 4, "dlib is a recogniser"},
      {"detect dataset --detector dlip", {}, 2, "no cloak detector \"dlip\""},
      {"embed dataset -e out/detector.json -o x.npy", {}, 4, "detector is a cloak detector"},
      {"eval --config x.json --set 'filter=[\"./fresh.json\"]' --run-dir r", {}, 4, "fresh is a recogniser"},
      {"eval --config x.json --set 'tables=[\"detection\"]' --run-dir r", {}, 2, "none is named"},
      {"eval --config x.json --set 'detectors=[\"out/detector.json\"]' --run-dir r", {}, 2, "does not name"},
      {"eval --config x.json --set 'protected=[\"p04\",\"p05\",\"p06\",\"p07\"]' --set "
       "'filter=[\"out/detector.json\"]' "
       "--run-dir r",
       {},
       2,
       "was trained on photos of"},
      {"train --config y.json -o y", {{"twins", Json::array()}}, 2, "there are no twins"},
      {"train --config y.json -o y", {{"held_out", 0}}, 2, "threshold is chosen on held-out people"},
      {"train --config y.json -o y",
       {{"batch", {{"people", 4}, {"photos", 3}}}},
       2,
       "half of a cloak detector's batch"},
      {"train --config y.json -o y", {{"pair", 1}}, 2, "only for the training of a recogniser"},
      {"train --config y.json -o y", {{"keep", 1}}, 2, "only for the training of a recogniser"},
      {"train --config y.json -o y", {{"loss", {{"kind", "arcface"}}}}, 2, "\"arcface\""},
      {"train --config y.json -o y", {{"task", "recogniser"}}, 2, "\"cloaked\""},
  };
  for (const auto& one : cases) {
    write_config("y.json", one.changes.is_null() ? Json::object() : one.changes);
    const auto found = run(one.command);
    EXPECT_EQ(found.code, one.code) << one.command << one.changes << found.err;
    EXPECT_TRUE(contains(found.err, one.message)) << one.command << one.changes << found.err;
  }
}

TEST_F(E2eCloakDetector, TheTableAndTheFilterFollowItsScores) {
  train();
  const std::string command =
      "eval --config x.json --format csv --run-dir run --set 'filter=[\"none\",\"out/detector.json\"]' "
      "--set 'clean_photos=[0,1]' --set 'tables=[\"protection\",\"detection\"]' --set "
      "'detectors=[\"out/detector.json\"]'";
  const auto evaluated = run(command);
  ASSERT_EQ(evaluated.code, 0) << evaluated.err;
  const Table scores = read_csv(folder_ / "run/detections.csv"), detection = read_csv(folder_ / "run/detection.csv");
  ASSERT_EQ(detection.rows.size(), 1u);
  double hits = 0, alarms = 0;
  std::map<std::string, int> left;  // each person's photos after the trainer drops flagged ones
  for (const auto& row : scores.rows) {
    const double threshold = as_number(row[column(scores, "threshold", "")], "");
    const bool hit = as_number(row[column(scores, "perturbed", "")], "") >= threshold;
    hits += hit;
    left[named(scores, row, "protected")] += !hit;
    alarms += as_number(row[column(scores, "clean", "")], "") >= threshold;
  }
  ASSERT_EQ(scores.rows.size(), 14u);
  const auto gone = std::count_if(left.begin(), left.end(), [](const auto& person) { return person.second == 0; });
  ASSERT_EQ(left.size(), 2u);
  const auto cell = [&](const char* name) { return std::stod(named(detection, detection.rows[0], name)); };
  EXPECT_NEAR(cell("recall"), hits / 14, 1e-12);
  EXPECT_NEAR(cell("false_alarms"), alarms / 14, 1e-12);
  EXPECT_NEAR(cell("precision"), hits / (hits + alarms), 1e-12);
  EXPECT_NEAR(cell("precision_at_1_percent"), hits / (hits + 99 * alarms), 1e-12);
  ASSERT_GT(gone, 0) << "or the rest of this test says little";
  ASSERT_EQ(alarms, 0) << "or the clean photo may be dropped too";

  const Table table = parse_csv(evaluated.out, "stdout");
  int rows = 0;
  for (const auto& row : table.rows) {
    if (named(table, row, "filter") == "none" || named(table, row, "attack") != "loud") continue;
    ++rows;
    // A person without photos left is not enrolled, and not protected. One clean photo is always left.
    const auto expected = named(table, row, "clean_photos") == "0" ? gone : 0;
    EXPECT_EQ(std::stoi(named(table, row, "not_enrolled")), expected);
    EXPECT_EQ(std::stoi(named(table, row, "people")), 2 - expected);
  }
  EXPECT_EQ(rows, 2);
  const auto again = run(command);
  EXPECT_EQ(again.out, evaluated.out);
  EXPECT_TRUE(contains(again.err, " 0 made)")) << again.err;
}

// --- end to end

TEST_F(E2eCloakDetector, EndToEndTrainsOncePerGalleryAndLearnsWhoIsWho) {
  const Json end_to_end = {{"classifier", "end-to-end"},
                           {"name", "trained"},
                           {"steps", 150},
                           {"rate", 0.02},
                           {"batch", {{"people", 8}, {"photos", 2}}},
                           {"augmentation", quiet()}};
  Json robust = end_to_end;
  robust["name"] = "robust", robust["public_twins"] = {loud};
  const std::string what = concat("eval --config x.json --set 'classifiers=[", end_to_end.dump(), ",", robust.dump(),
                                  "]' --run-dir run "),
                    command = what + "--format csv";
  const auto plan = run(what + "--dry-run --format json");
  ASSERT_EQ(plan.code, 0) << plan.err;
  std::size_t planned = 0;
  const Json printed = Json::parse(plan.out);
  for (const auto& unit : printed.at("units")) planned += unit.at("arrow") == "fitted";
  EXPECT_EQ(planned, 1u + 2u + 2u * 2u) << "without an attack one gallery serves both people, but for whose have twins";
  const auto evaluated = run(command);
  ASSERT_EQ(evaluated.code, 0) << evaluated.err;
  const Table table = parse_csv(evaluated.out, "stdout");
  int clean = 0;
  for (const auto& row : table.rows) {
    if (named(table, row, "attack") != "none") continue;
    ++clean;
    EXPECT_LT(std::stod(named(table, row, "others_error")), 0.5) << named(table, row, "classifier");
    EXPECT_LT(std::stod(named(table, row, "protection")), 0.7);
  }
  EXPECT_EQ(clean, 2) << "one row of each classifier";
  const auto again = run(command);
  EXPECT_EQ(again.out, evaluated.out);
  EXPECT_TRUE(contains(again.err, " 0 made)")) << again.err;
  EXPECT_TRUE(fs::is_empty(folder_ / "store/unfinished")) << "a finished training leaves no checkpoint";
}

TEST_F(E2eCloakDetector, EndToEndKilledGoesOnToTheSameAnswers) {
  const Json end_to_end = {{"classifier", "end-to-end"},
                           {"name", "trained"},
                           {"steps", 60},
                           {"checkpoint_every", 5},
                           {"batch", {{"people", 8}, {"photos", 2}}}};
  const auto command = [&](const std::string& store) {
    return concat("eval --config x.json --format csv --run-dir run-", store, " --set 'classifiers=[", end_to_end.dump(),
                  "]' --set 'attacks=[\"none\"]' --store ", store);
  };
  const auto whole = run_binary(command("whole"), folder_.path);
  ASSERT_EQ(whole.code, 0) << whole.err;
  Outcome killed{137, "", ""};
  for (int tenths = 10; killed.code != 0 && tenths < 300; tenths += 4)
    killed = run_binary(command("killed"), folder_.path, concat("timeout -s KILL ", tenths / 10, ".", tenths % 10));
  ASSERT_EQ(killed.code, 0) << killed.err;
  EXPECT_EQ(read_file(folder_ / "run-killed/trials.csv"), read_file(folder_ / "run-whole/trials.csv"));
}

TEST_F(E2eCloakDetector, EndToEndRefusesWhatItCannotAnswer) {
  const std::string classifier =
      "--set 'classifiers=[{\"classifier\":\"end-to-end\",\"steps\":5,\"batch\":{\"people\":8,"
      "\"photos\":1}}]' ";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"--set 'classifiers=[\"end-to-end\"]'", "\"steps\""},
      {"--set 'classifiers=[{\"classifier\":\"end-to-end\",\"steps\":5,\"batch\":{\"people\":9,\"photos\":1}}]'",
       "a batch has 9 people, but the gallery only 8"},
      {"--set 'classifiers=[{\"classifier\":\"end-to-end\",\"steps\":5,\"batch\":{\"people\":8,\"photos\":1},"
       "\"public_twins\":[\"none\"]}]'",
       "does not change photos"},
      {classifier + "--set 'tables=[\"open-set\"]'", "without each stranger"}};
  for (const auto& [more, message] : cases) {
    const auto found = run("eval --config x.json --run-dir r " + more);
    EXPECT_EQ(found.code, 2) << more << found.err;
    EXPECT_TRUE(contains(found.err, message)) << more << found.err;
  }
}

}  // namespace
}  // namespace facepoison::testing
