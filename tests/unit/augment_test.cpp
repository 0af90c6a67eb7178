#include "facepoison/augmentation.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

class Augment : public ::testing::Test {
 protected:
  void SetUp() override {
    extractor_ = make_extractor(write_tiny_extractor(folder_.path, 1, "tiny", "arcface-112").string(), {});
    faces_ = drawn_faces(6, canvas_side, true);
    faces_.pixels = faces_.pixels.mul(255).round().to(torch::kUInt8);
  }
  torch::Tensor plain() const {
    Faces faces = faces_;
    faces.pixels = faces.pixels.to(torch::kFloat32).div(255);
    return extractor_->view(faces);
  }
  static Augmentation nothing() {
    Augmentation how;
    how.flip = how.scale = how.rotate = how.shift = how.light = how.colour = how.grey = how.blur = how.noise =
        how.jpeg = how.erase = 0;
    return how;
  }
  TempFolder folder_;
  std::shared_ptr<const FeatureExtractor> extractor_;
  Faces faces_;
};

TEST_F(Augment, NothingAskedForIsThePlainView) {
  EXPECT_LT((augmented_views(*extractor_, faces_, nothing(), 1, 5) - plain()).abs().max().item<float>(), 1e-5);
}

TEST_F(Augment, IsTheSameForTheSameStepAndOtherwiseAnother) {
  const auto a = augmented_views(*extractor_, faces_, {}, 1, 5);
  EXPECT_TRUE(torch::equal(a, augmented_views(*extractor_, faces_, {}, 1, 5)));
  EXPECT_FALSE(torch::equal(a, augmented_views(*extractor_, faces_, {}, 1, 6)));
  EXPECT_FALSE(torch::equal(a, augmented_views(*extractor_, faces_, {}, 2, 5)));
  EXPECT_GE(a.min().item<float>(), 0);
  EXPECT_LE(a.max().item<float>(), 1);
}

TEST_F(Augment, EachKindChangesThePictureByItself) {
  const auto flipped = [&](Augmentation how) {
    return (augmented_views(*extractor_, faces_, how, 3, 1) - plain()).abs().mean().item<float>();
  };
  const std::vector<std::pair<const char*, double Augmentation::*>> kinds = {
      {"scale", &Augmentation::scale}, {"rotate", &Augmentation::rotate}, {"shift", &Augmentation::shift},
      {"light", &Augmentation::light}, {"colour", &Augmentation::colour}, {"blur", &Augmentation::blur},
      {"noise", &Augmentation::noise}, {"jpeg", &Augmentation::jpeg},     {"erase", &Augmentation::erase}};
  for (const auto& [name, member] : kinds) {
    Augmentation how = nothing();
    how.*member = name == std::string("blur") || name == std::string("jpeg") || name == std::string("erase") ? 1 : 0.1;
    EXPECT_GT(flipped(how), 1e-4) << name;
  }
}

TEST_F(Augment, PlasmaLightsThePictureUnevenly) {
  Augmentation how = nothing();
  how.plasma = 1;
  const auto lit = augmented_views(*extractor_, faces_, how, 3, 1);
  EXPECT_GE(lit.min().item<float>(), 0);
  EXPECT_LE(lit.max().item<float>(), 1);
  // Plain brightness and contrast would move all pixels of a flat picture alike.
  faces_.pixels = torch::full_like(faces_.pixels, 100);
  const auto moved = augmented_views(*extractor_, faces_, how, 3, 1) - plain();
  for (std::int64_t n = 0; n < moved.size(0); ++n) EXPECT_GT(moved[n].std().item<float>(), 1e-2) << n;
  EXPECT_FALSE(torch::allclose(moved[0], moved[1])) << "each photo has its own";
}

TEST_F(Augment, ShuffledChannelsAreThePhotosOwnInAnotherOrder) {
  Augmentation how = nothing();
  how.channel_shuffle = 1;
  const auto views = augmented_views(*extractor_, faces_, how, 3, 1), before = plain();
  int moved = 0;
  for (std::int64_t n = 0; n < views.size(0); ++n) {
    const auto sorted = [](const torch::Tensor& view) { return std::get<0>(view.mean({1, 2}).sort()); };
    EXPECT_TRUE(torch::allclose(sorted(views[n]), sorted(before[n]), 1e-4, 1e-5)) << n;
    moved += (views[n] - before[n]).abs().max().item<float>() > 1e-3;
  }
  EXPECT_GT(moved, 0);
}

TEST_F(Augment, EachDrawIsItsOwnAndTheFirstIsTheOnlyOneOfBefore) {
  const auto draw = [&](std::int64_t k) { return augmented_views(*extractor_, faces_, {}, 1, 5, k); };
  EXPECT_TRUE(torch::equal(draw(0), augmented_views(*extractor_, faces_, {}, 1, 5)));
  EXPECT_TRUE(torch::equal(draw(2), draw(2)));
  EXPECT_FALSE(torch::equal(draw(2), draw(1)));
  EXPECT_FALSE(torch::equal(draw(1), draw(0)));
}

TEST_F(Augment, ARecordWithoutUErasersKeysIsThatOfBefore) {
  const auto record = [](const Json& wanted) {
    Spec spec(wanted, "augmentation");
    return Augmentation::from(spec).record();
  };
  EXPECT_EQ(record(Json::object()).size(), 11u);
  const Json set = record({{"plasma", 1}, {"channel_shuffle", 0.5}, {"worst_of", 5}});
  EXPECT_EQ(set["worst_of"], 5);
  EXPECT_EQ(set["channel_shuffle"], 0.5);
  EXPECT_EQ(record(set), set);
}

TEST_F(Augment, AFlipIsTheMirrorImageAndGreyHasNoColour) {
  Augmentation how = nothing();
  how.flip = 1;
  EXPECT_LT((augmented_views(*extractor_, faces_, how, 1, 1) - plain().flip(3)).abs().max().item<float>(), 1e-5);
  how = nothing();
  how.grey = 1;
  const auto grey = augmented_views(*extractor_, faces_, how, 1, 1);
  EXPECT_LT((grey.select(1, 0) - grey.select(1, 2)).abs().max().item<float>(), 1e-5);
}

}  // namespace
}  // namespace facepoison::testing
