// A training in this process: the files that it refuses to replace, to learn from and to publish.
#include "facepoison/training.hpp"

#include "facepoison/npy.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

class TrainingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    prepare_drawn(folder_.path, 6, 4);
    write_tiny_extractor(folder_.path, 1, "fresh");
  }
  TrainingConfig read(const Json& changes = Json::object()) {
    Json config = {{"start", "./fresh.json"},
                   {"dataset", "dataset"},
                   {"batch", {{"people", 3}, {"photos", 2}}},
                   {"steps", 2},
                   {"loss", {{"kind", "arcface"}}}};
    config.update(changes);
    write_file(folder_ / "x.json", config.dump());
    ArtifactStore store(folder_ / "store");
    return read_training(folder_ / "x.json", {}, false, {}, store);
  }
  void run(const Json& changes = Json::object()) {
    ArtifactStore store(folder_ / "store");
    train(read(changes), folder_ / "out", store);
  }
  // Expects an error, and that nothing is published.
  void expect_error(const Json& changes, Exit code, const std::string& word) {
    const auto found = caught([&] { run(changes); });
    EXPECT_EQ(found.code, code) << found.message;
    EXPECT_TRUE(contains(found.message, word)) << found.message;
    for (const auto* name : {"out/x.json", "out/x.pt"}) EXPECT_FALSE(fs::exists(folder_ / name)) << name;
  }
  void start_from(const torch::jit::Module& network) {
    network.save((folder_ / "fresh.pt").string());
    Json card = read_json(folder_ / "fresh.json");
    card["sha256"] = sha256_of_file(folder_ / "fresh.pt");
    write_file(folder_ / "fresh.json", card.dump());
  }
  // The photos' lines of the data set's manifest, changed.
  template <class Edit>
  void edit_manifest(Edit&& edit) {
    std::istringstream lines(read_file(folder_ / "dataset/manifest.jsonl"));
    std::string out;
    for (std::string line; std::getline(lines, line);) {
      Json photo = Json::parse(line);
      edit(photo);
      if (!photo.is_null()) out += photo.dump() + "\n";
    }
    write_file(folder_ / "dataset/manifest.jsonl", out);
  }
  TempFolder folder_;
};

TEST_F(TrainingTest, ReplacesNoFileThatNoTrainingOfThatCardMade) {
  const std::vector<std::string> names = {"x.json",          "x.pt",           "golden/x.npy",
                                          "training/x.json", "training/x.csv", "training/x.seen.json"};
  for (const auto& name : names) {
    write_file(folder_ / "out" / name, "mine");
    const auto [code, message] = caught([&] { run(); });
    EXPECT_EQ(code, Exit::usage) << name;
    EXPECT_TRUE(contains(message, name + " exists")) << message;
    EXPECT_FALSE(contains(message, "\"name\"")) << "there is no such key";
    EXPECT_EQ(read_file(folder_ / "out" / name), "mine");
    fs::remove_all(folder_ / "out");
  }
  write_file(folder_ / "out/training/x.json", "{\"mine\": true}");
  EXPECT_TRUE(contains(caught([&] { run(); }).message, "training/x.json exists")) << "no training's record";
}

TEST_F(TrainingTest, ReplacesWhatItMadeItself) {
  run();
  const auto first = read_file(folder_ / "out/x.pt");
  run({{"steps", 3}});
  EXPECT_NE(read_file(folder_ / "out/x.pt"), first) << "another training of that name";
  for (const std::string name : {"x.json", "x.pt"}) {
    const auto own = read_file(folder_ / "out" / name);
    write_file(folder_ / "out" / name, "{\"sha256\": \"another network's\"}");
    EXPECT_EQ(caught([&] { run(); }).code, Exit::usage) << "that training's record, but not its " << name;
    write_file(folder_ / "out" / name, own);
  }
  fs::remove(folder_ / "out/x.json");
  run();
  EXPECT_EQ(read_file(folder_ / "out/x.pt"), first) << "without its card it is made again";
}

TEST_F(TrainingTest, ABatchWithoutAPairIsRefusedWhereTheLossComparesPhotos) {
  const Json one = {{"people", 3}, {"photos", 1}};
  for (const auto& row : loss_registry()) {
    if (row.task != Task::recogniser || row.name == "none") continue;
    const Json changes = {{"loss", {{"kind", row.name}}}, {"batch", one}};
    if (row.compares_photos)
      expect_error(changes, Exit::usage, "key \"photos\"");
    else
      EXPECT_NO_THROW(read(changes)) << row.name;
  }
  for (const auto* mining : {"semi-hard", "hard"})
    expect_error({{"loss", {{"kind", "triplet"}, {"mining", mining}}}, {"batch", one}}, Exit::usage,
                 "needs at least 2");
}

TEST_F(TrainingTest, PeopleWithOnePhotoEachHaveNoPair) {
  edit_manifest([](Json& photo) {
    if (!photo["id"].get<std::string>().ends_with("v0.png")) photo = nullptr;
  });
  expect_error({{"loss", {{"kind", "triplet"}}}}, Exit::usage, "no person to train on has a second photo");
  EXPECT_NO_THROW(read({{"loss", {{"kind", "triplet"}}}, {"twins", {"noise"}}})) << "a twin is one";
}

TEST_F(TrainingTest, HeldOutPeopleNeedATrainAndATestPhoto) {
  expect_error({{"held_out", 1}}, Exit::usage, "needs at least 2 people");
  for (const auto* side : {"train", "test"}) {
    edit_manifest([&](Json& photo) { photo["split"] = side; });
    expect_error({{"held_out", 2}}, Exit::usage, "none of the 2 people has both");
  }
}

TEST_F(TrainingTest, ACloakDetectorNeedsTwinsThatDiffer) {
  const Json none = {{"preset", "noise"}, {"epsilon", 1e-4}};  // less than a grey level
  expect_error({{"task", "cloak-detector"}, {"loss", {{"kind", "cloaked"}}}, {"held_out", 1}, {"twins", {none}}},
               Exit::input, "are all identical to their photos");
}

TEST_F(TrainingTest, NothingLearntIsNothingPublished) {
  expect_error({{"rate", 0}, {"optimiser", "sgd"}, {"batch_norm", "frozen"}}, Exit::failure,
               "no weight of the network has changed");
}

TEST_F(TrainingTest, AWeightThatIsNotFiniteIsNotPublished) {
  auto network = torch::jit::load((folder_ / "fresh.pt").string());
  network.register_buffer("unused", torch::full({1}, NAN));
  start_from(network);
  expect_error(Json::object(), Exit::failure, "a weight is not finite");
}

TEST_F(TrainingTest, AGoldenEmbeddingThatIsNotFiniteIsNotPublished) {
  torch::jit::Module network("net");
  network.register_attribute("training", c10::BoolType::get(), true);
  network.register_parameter("weight", torch::ones({3, 16}), false);
  network.define(
      "def forward(self, x):\n"
      "    y = x.mean([2, 3]).matmul(self.weight)\n"
      "    if self.training:\n"
      "        return y\n"
      "    return y / 0.0\n");
  start_from(network);
  expect_error(Json::object(), Exit::failure, "the golden embedding is not finite");
}

TEST_F(TrainingTest, PerturbedPhotosAreRefusedUnlessTheyAreAllowed) {
  edit_manifest([](Json& photo) {
    if (photo["person"] == "p01") photo["perturbed_by"] = "pgd-small";
  });
  expect_error(Json::object(), Exit::input, "4 of 24 photos are perturbed, by pgd-small");
  run({{"allow_perturbed", true}});
  const Json record = read_json(folder_ / "out/training/x.json");
  EXPECT_EQ(record["perturbed"], "4 of 24 photos are perturbed, by pgd-small");
  EXPECT_FALSE(record["config"].contains("allow_perturbed")) << "the photos decide the weights, not the permission";
}

}  // namespace
}  // namespace facepoison::testing
