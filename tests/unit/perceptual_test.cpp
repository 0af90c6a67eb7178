// What happens where models/lpips.pt is there: LowKey looks at it, and every budget has its column.
#include "facepoison/lpips.hpp"

#include "facepoison/stages.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

// A project folder with the committed cards, and a "LPIPS" that is the mean square.
class LpipsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const auto* folder : {"configs", "data"}) fs::create_directory_symlink(fs::path(FACEPOISON_ROOT) / folder, home_ / folder);
    setenv("FACEPOISON_HOME", home_.path.c_str(), 1);
    card_ = write_tiny_extractor(home_.path).string();
  }
  void TearDown() override { unsetenv("FACEPOISON_HOME"); }
  void put_lpips() {
    torch::jit::Module module("lpips");
    module.define("def forward(self, a, b):\n  d = a - b\n  return torch.mean(d * d, [1, 2, 3])\n");
    fs::create_directories(home_ / "models");
    module.save((home_ / "models/lpips.pt").string());
    write_file(home_ / "models/lpips.json", Json{{"sha256", sha256_of_file(home_ / "models/lpips.pt")}}.dump());
  }
  std::shared_ptr<const Attack> lowkey(Json extra = Json::object()) {
    Json request = {{"preset", "lowkey"}, {"surrogates", {card_}}, {"steps", 3}};
    request.update(extra);
    return make_attack(request, {});
  }
  static bool says_dssim(const Attack& attack) {
    for (const auto& note : attack.settings().notes)
      if (contains(note, "DSSIM in the place of LPIPS")) return true;
    return false;
  }
  TempFolder home_;
  std::string card_;
};

TEST_F(LpipsTest, IsAbsentWithoutItsFileAndTheTableSaysWhatStandsIn) {
  EXPECT_EQ(find_lpips({}), nullptr);
  EXPECT_TRUE(says_dssim(*lowkey()));
}

TEST_F(LpipsTest, IsSeenByLowKeyAndIsPartOfWhatItIs) {
  const auto without = lowkey()->identity();
  put_lpips();
  const auto with = lowkey(), refused = lowkey({{"distance", "dssim"}});
  EXPECT_FALSE(says_dssim(*with));
  EXPECT_NE(with->identity(), without);
  EXPECT_TRUE(says_dssim(*refused));
  const Faces faces = drawn_faces(2, 64, false);
  EXPECT_FALSE(torch::equal(lowkey({{"similarity_weight", 1000}})->perturb(faces, 1).pixels, lowkey({{"similarity_weight", 1000}, {"distance", "dssim"}})->perturb(faces, 1).pixels));
}

TEST_F(LpipsTest, IsAColumnOfTheBudget) {
  const Dataset dataset = prepare_drawn(home_.path, 2, 2);
  ArtifactStore store(home_ / "store");
  const auto attack = make_attack("noise", {});
  EXPECT_EQ(budget_table(perturb(dataset.photos, dataset.photos, *attack, 0, {}, store).budget).columns.back(), "similarity");
  put_lpips();
  const auto budget = perturb(dataset.photos, dataset.photos, *attack, 0, {}, store).budget;
  EXPECT_EQ(budget_table(budget).columns.back(), "lpips");
  for (const auto& row : budget) EXPECT_NEAR(row.lpips, std::pow(10, -row.psnr / 10), 1e-5);
}

TEST_F(LpipsTest, IsRefusedWhereItWasAltered) {
  put_lpips();
  write_file(home_ / "models/lpips.json", Json{{"sha256", "0"}}.dump());
  EXPECT_EQ(caught([] { find_lpips({}); }).code, Exit::model);
}

}  // namespace
}  // namespace facepoison::testing
