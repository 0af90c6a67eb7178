// The retouch: what each of its keys does, and that the attack is the transform.
#include <cmath>

#include "facepoison/attack.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

Image retouched(const Image& image, double smoothing, double contrast, double warmth) {
  const auto transform =
      make_transform({{"transform", "retouch"}, {"smoothing", smoothing}, {"contrast", contrast}, {"warmth", warmth}});
  return (*transform)({image, {}}, 0, "p/a").image;
}

// A picture with noise of ±6 grey levels on an even ground.
Image grainy() {
  Image image{64, 64, {}};
  Stream stream(1, "grain");
  for (int i = 0; i < 64 * 64 * 3; ++i) image.rgb.push_back(static_cast<std::uint8_t>(114 + stream.below(13)));
  return image;
}

double mean_of(const Image& image, std::size_t channel) {
  double sum = 0;
  for (std::size_t i = channel; i < image.rgb.size(); i += 3) sum += image.rgb[i];
  return sum / static_cast<double>(image.rgb.size() / 3);
}

double deviation_of(const Image& image) {
  double sum = 0;
  for (std::size_t i = 1; i < image.rgb.size(); i += 3) sum += std::pow(image.rgb[i] - mean_of(image, 1), 2);
  return std::sqrt(sum / static_cast<double>(image.rgb.size() / 3));
}

TEST(RetouchTransform, DoesNothingWithoutStrength) {
  const Image before = draw_photo(3, 0, 64), after = retouched(before, 0, 0, 0);
  for (std::size_t i = 0; i < before.rgb.size(); ++i) ASSERT_NEAR(before.rgb[i], after.rgb[i], 1) << i;
}

TEST(RetouchTransform, SmoothsGrainAndKeepsEdges) {
  EXPECT_LT(deviation_of(retouched(grainy(), 1, 0, 0)), 0.7 * deviation_of(grainy()));
  Image edge{64, 64, {}};
  for (int i = 0; i < 64 * 64; ++i) edge.rgb.insert(edge.rgb.end(), 3, i % 64 < 32 ? 60 : 180);
  const Image after = retouched(edge, 1, 0, 0);
  for (std::size_t i = 0; i < edge.rgb.size(); ++i) ASSERT_NEAR(edge.rgb[i], after.rgb[i], 2) << i;
}

TEST(RetouchTransform, AddsContrastAndWarmth) {
  EXPECT_GT(deviation_of(retouched(grainy(), 0, 1, 0)), 1.1 * deviation_of(grainy()));
  const auto yellow = [](const Image& image) { return mean_of(image, 0) - mean_of(image, 2); };
  EXPECT_GT(yellow(retouched(grainy(), 0, 0, 1)), yellow(grainy()) + 10);
  EXPECT_LT(yellow(retouched(grainy(), 0, 0, -1)), yellow(grainy()) - 10);
}

TEST(RetouchAttack, IsTheTransform) {
  setenv("FACEPOISON_HOME", FACEPOISON_ROOT, 1);
  const Faces faces = drawn_faces(2, 48, false);
  const auto attack = make_attack({{"preset", "retouch"}, {"warmth", -0.5}}, {});
  const auto out = attack->perturb(faces, 0);
  for (std::int64_t n = 0; n < 2; ++n)
    EXPECT_EQ(to_image(out.pixels[n]).rgb, retouched(to_image(faces.pixels[n]), 0.5, 0.3, -0.5).rgb);
  EXPECT_EQ(caught([] { make_attack({{"preset", "retouch"}, {"warmth", 2}}, {}); }).code, Exit::usage);
  unsetenv("FACEPOISON_HOME");
}

}  // namespace
}  // namespace facepoison::testing
