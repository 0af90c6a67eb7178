// LowKey's choice of a perceptual distance, and the audit's output if models/lpips.pt exists.
#include "facepoison/perceptual.hpp"

#include "facepoison/posted.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

class PerceptualTest : public ::testing::Test {
 protected:
  void SetUp() override {
    link_project(home_.path);
    setenv("FACEPOISON_HOME", home_.path.c_str(), 1);
    card_ = write_tiny_extractor(home_.path).string();
  }
  void TearDown() override { unsetenv("FACEPOISON_HOME"); }
  std::shared_ptr<const Attack> make(const std::string& preset, Json extra = Json::object()) {
    Json request = {{"preset", preset}, {"surrogates", {card_}}, {"steps", 3}};
    request.update(extra);
    return make_attack(request, {});
  }
  static bool says(const Attack& attack, const std::string& part) {
    const auto& notes = attack.settings().notes;
    return std::any_of(notes.begin(), notes.end(), [&](const auto& note) { return contains(note, part); });
  }
  TempFolder home_;
  std::string card_;
};

TEST_F(PerceptualTest, LowKeyIsRefusedWithoutItsOwnAndSaysHowToGetIt) {
  EXPECT_EQ(find_perceptual("lpips", {}), nullptr);
  for (const auto* preset : {"lowkey", "lowkey-paper"}) {
    const auto error = caught([&] { make(preset); });
    EXPECT_EQ(error.code, Exit::model) << preset;
    EXPECT_TRUE(contains(error.message, "scripts/fetch_models.py lpips")) << error.message;
  }
  const auto lite = caught([&] { make("lowkey-lite0"); });
  EXPECT_EQ(lite.code, Exit::model);
  EXPECT_TRUE(contains(lite.message, "fetch_models.py lite0")) << lite.message;
  EXPECT_TRUE(says(*make("lowkey-dssim"), "DSSIM, uncalibrated, in the place of LPIPS"));
}

TEST_F(PerceptualTest, LowKeysNameSaysWhichOneRan) {
  write_mean_square_lpips(home_.path);
  const auto with = make("lowkey"), without = make("lowkey-dssim");
  EXPECT_FALSE(says(*with, "in the place of LPIPS"));
  EXPECT_NE(with->identity(), without->identity());
  const Faces faces = drawn_faces(2, 64, false);
  const Json heavy = {{"similarity_weight", 1000}};
  EXPECT_FALSE(torch::equal(make("lowkey", heavy)->perturb(faces, 1).pixels,
                            make("lowkey-dssim", heavy)->perturb(faces, 1).pixels));
}

TEST_F(PerceptualTest, LpipsIsAColumnOfTheBudget) {
  const Dataset dataset = prepare_drawn(home_.path, 2, 2);
  ArtifactStore store(home_ / "store");
  const auto attack = make_attack("noise", {});
  EXPECT_EQ(budget_table(perturb(dataset.photos, dataset.photos, *attack, 0, {}, store).budget).columns.back(), "seed");
  write_mean_square_lpips(home_.path);
  const auto budget = perturb(dataset.photos, dataset.photos, *attack, 0, {}, store).budget;
  EXPECT_EQ(budget_table(budget).columns.back(), "lpips");
  EXPECT_EQ(budget.size(), 4u);
  for (const auto& row : budget) EXPECT_NEAR(row.lpips, std::pow(10, -row.psnr / 10), 1e-5);
}

TEST_F(PerceptualTest, IsMeasuredInFloat32WhateverNetworksComputeIn) {
  write_mean_square_lpips(home_.path);
  const Dataset dataset = prepare_drawn(home_.path, 1, 2);
  ArtifactStore store(home_ / "store");
  const auto attack = make_attack("noise", {});
  const auto made_by = [&](const char* precision) {
    const auto before = store.misses();
    const StagedPhotos photos(dataset.photos);
    Executor(store).run(audit(photos, photos, *attack, run_options("cpu", precision, false)));
    return store.misses() - before;
  };
  EXPECT_EQ(made_by("fp32"), 1u);
  EXPECT_EQ(made_by("fp32"), 0u);
  EXPECT_EQ(made_by("bf16"), 0u);
}

TEST_F(PerceptualTest, IsRefusedWhereItWasAltered) {
  write_mean_square_lpips(home_.path);
  write_file(home_ / "models/lpips.json", Json{{"sha256", "0"}}.dump());
  EXPECT_EQ(caught([] { find_perceptual("lpips", {}); }).code, Exit::model);
}

TEST_F(PerceptualTest, ComparesInFloat32WhatWasSeenInBf16) {
  write_mean_square_lpips(home_.path);
  const auto pictures = drawn_faces(2, 64, false).pixels, others = pictures.flip(3);
  const auto half = need_perceptual("lpips", run_options("cpu", "bf16", false)), full = need_perceptual("lpips", {});
  const auto seen = half->look(pictures);
  EXPECT_EQ(seen.front().scalar_type(), torch::kFloat32);
  EXPECT_FALSE(torch::equal(seen.front(), full->look(pictures).front()));
  EXPECT_TRUE(torch::equal(half->between(seen, seen), torch::zeros({2})));
  EXPECT_TRUE(torch::allclose((*half)(pictures, others), (*full)(pictures, others), 0.02));
  EXPECT_NE(half->identity(), full->identity());
}

TEST_F(PerceptualTest, AFileOfAnEarlierVersionIsMadeAgain) {
  torch::jit::Module module("lpips");
  module.define("def forward(self, a, b):\n  return torch.mean(a - b, [1, 2, 3])\n");
  fs::create_directories(home_ / "models");
  module.save((home_ / "models/lpips.pt").string());
  write_file(home_ / "models/lpips.json", Json{{"sha256", sha256_of_file(home_ / "models/lpips.pt")}}.dump());
  const auto lpips = need_perceptual("lpips", {});
  const auto error = caught([&] { lpips->look(torch::rand({1, 3, 64, 64})); });
  EXPECT_EQ(error.code, Exit::model);
  EXPECT_TRUE(contains(error.message, "scripts/fetch_models.py lpips")) << error.message;
}

}  // namespace
}  // namespace facepoison::testing
