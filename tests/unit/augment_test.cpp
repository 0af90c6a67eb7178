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
