// What every attack in the registry promises, tested by being there.
#include "facepoison/attack.hpp"
#include "facepoison/home.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

class AttackContract : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { setenv("FACEPOISON_HOME", FACEPOISON_ROOT, 1); }
  void TearDown() override { unsetenv("FACEPOISON_HOME"); }

  std::shared_ptr<const Attack> make(const std::string& template_name = "none", Json extra = Json::object()) {
    const auto card = write_tiny_extractor(folder_.path, 1, "tiny-" + template_name, template_name);
    Json preset = {{"preset", GetParam()}};
    for (const auto& row : attack_registry())
      if (row.name == GetParam() && row.needs_surrogates) preset["surrogates"] = {card.string()};
    if (preset.contains("surrogates")) preset["steps"] = 4;
    preset.update(extra);
    return make_attack(preset, {});
  }

  TempFolder folder_;
};

TEST_P(AttackContract, KeepsShapeAndStaysOnTheGridInRange) {
  const Faces faces = drawn_faces(5, 48, false);
  const auto before = faces.pixels.clone();
  const auto out = make()->perturb(faces, 3);
  ASSERT_EQ(out.pixels.sizes(), faces.pixels.sizes());
  EXPECT_EQ(out.status, std::vector<std::string>(5, "ok"));
  EXPECT_GE(out.pixels.min().item<float>(), 0);
  EXPECT_LE(out.pixels.max().item<float>(), 1);
  EXPECT_LT((out.pixels * 255 - (out.pixels * 255).round()).abs().max().item<float>(), 1e-4);
  EXPECT_TRUE(torch::equal(before, faces.pixels)) << "the clean photos were changed in place";
}

TEST_P(AttackContract, ChangesPhotosIfItSaysSo) {
  const Faces faces = drawn_faces(2, 48, false);
  const auto attack = make();
  const bool changed = !torch::equal(attack->perturb(faces, 3).pixels, faces.pixels);
  EXPECT_EQ(changed, attack->changes_photos());
}

TEST_P(AttackContract, GivesTheSameBytesAgain) {
  const Faces faces = drawn_faces(4, 48, false);
  EXPECT_TRUE(torch::equal(make()->perturb(faces, 3).pixels, make()->perturb(faces, 3).pixels));
}

TEST_P(AttackContract, DrawsForEachPhotoNotForItsPlaceInTheBatch) {
  const Faces faces = drawn_faces(4, 48, false);
  Faces turned = faces;
  turned.pixels = faces.pixels.flip(0);
  std::reverse(turned.ids.begin(), turned.ids.end());
  std::reverse(turned.people.begin(), turned.people.end());
  const auto difference = make()->perturb(turned, 3).pixels.flip(0) - make()->perturb(faces, 3).pixels;
  // Float rounding may turn the sign of a gradient that is almost zero.
  EXPECT_LT((difference.abs() > 1e-6).to(torch::kFloat32).mean().item<float>(), 0.01);
}

TEST_P(AttackContract, TakesAlignedFaces) {
  const Faces faces = drawn_faces(3, 64, true);
  EXPECT_EQ(make("arcface-112")->perturb(faces, 1).pixels.sizes(), faces.pixels.sizes());
}

TEST_P(AttackContract, RefusesUnknownKeysWithTheNearest) {
  const auto error = caught([&] { make("none", {{"surogates", 1}}); });
  EXPECT_EQ(error.code, Exit::usage);
  EXPECT_TRUE(contains(error.message, "\"surogates\"")) << error.message;
}

TEST_P(AttackContract, HasAPresetOfItsNameWhoseEveryKeyIsRead) {
  const Json preset = read_json(fs::path(FACEPOISON_ROOT) / "configs/attacks" / (GetParam() + ".json"));
  const auto parameters = make()->settings().parameters;
  for (const auto& [key, value] : preset.items()) EXPECT_TRUE(parameters.contains(key)) << key;
  for (const auto& [key, value] : parameters.items()) EXPECT_TRUE(preset.contains(key)) << key << " has a default that the preset does not show";
}

std::vector<std::string> attack_names() {
  std::vector<std::string> names;
  for (const auto& row : attack_registry()) names.push_back(row.name);
  return names;
}
INSTANTIATE_TEST_SUITE_P(Registry, AttackContract, ::testing::ValuesIn(attack_names()), [](const auto& info) { return info.param; });

// A surrogate that divides zero by zero for one photo only, the all-black one.
fs::path write_fragile_extractor(const fs::path& folder) {
  torch::jit::Module module("fragile");
  module.define("def forward(self, x):\n  m = torch.flatten(torch.adaptive_avg_pool2d(x, [4, 1]), 1)\n  return m / torch.sum(m * m, [1], True)\n");
  module.save((folder / "fragile.pt").string());
  const Json card = {{"title", "breaks on black"}, {"released", "2001"}, {"licence", "none"}, {"file", "./fragile.pt"}, {"sha256", sha256_of_file(folder / "fragile.pt")},
                     {"input", {{"side", 24}, {"template", "none"}, {"channels", "rgb"}, {"scale", 1.0}, {"mean", {0.0, 0.0, 0.0}}, {"std", {1.0, 1.0, 1.0}}}}, {"dimension", 12}};
  write_file(folder / "fragile.json", card.dump());
  return folder / "fragile.json";
}

TEST(AttackContractInfeasible, KeepsThePhotosCleanPixelsAndSaysSo) {
  setenv("FACEPOISON_HOME", FACEPOISON_ROOT, 1);
  const TempFolder folder;
  Faces faces = drawn_faces(3, 48, false);
  faces.pixels[1].zero_();
  const auto attack = make_attack({{"preset", "pgd"}, {"surrogates", {write_fragile_extractor(folder.path).string()}}, {"random_start", false}, {"steps", 2}}, {});
  const auto out = attack->perturb(faces, 0);
  EXPECT_EQ(out.status, (std::vector<std::string>{"ok", "infeasible", "ok"}));
  EXPECT_TRUE(torch::equal(out.pixels[1], faces.pixels[1]));
  EXPECT_TRUE(out.pixels.isfinite().all().item<bool>());
  unsetenv("FACEPOISON_HOME");
}

}  // namespace
}  // namespace facepoison::testing
