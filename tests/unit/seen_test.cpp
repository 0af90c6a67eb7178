// The part of the canvas that surrogates see, where an attack spends its DSSIM budget, and the audit of both.
#include "facepoison/attack.hpp"
#include "facepoison/dssim.hpp"
#include "facepoison/posted.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

class Seen : public ::testing::Test {
 protected:
  void SetUp() override { setenv("FACEPOISON_HOME", FACEPOISON_ROOT, 1); }
  void TearDown() override { unsetenv("FACEPOISON_HOME"); }

  std::shared_ptr<const FeatureExtractor> tiny(const std::string& template_name) {
    return make_extractor(write_tiny_extractor(folder_.path, 1, "tiny-" + template_name, template_name).string(), {});
  }

  // A face with the canvas's own landmarks.
  static Faces on_canvas() {
    Faces faces = drawn_faces(2, canvas_side, false);
    std::vector<double> points;
    for (int n = 0; n < 2; ++n)
      for (const auto& p : canvas_landmarks()) points.insert(points.end(), {p.x, p.y});
    faces.landmarks = torch::tensor(points, torch::kFloat64).view({2, 5, 2});
    return faces;
  }

  TempFolder folder_;
};

// The share of the canvas that a network sees, and whether its embedding agrees: pixels outside must not change it,
// pixels inside must.
TEST_F(Seen, IsWhatMovesTheEmbedding) {
  for (const std::string name : {"arcface-112", "dlib-150"}) {
    const auto extractor = tiny(name);
    const Faces faces = on_canvas();
    const auto area = seen_under(extractor->card(), faces);
    const double share = area[0].mean().item<double>();
    EXPECT_GT(share, 0.5) << name;
    EXPECT_LT(share, 0.95) << name;
    Faces outside = faces, inside = faces;
    // A pixel beyond the edge still has a part in the crop's outermost samples.
    const auto far = 1 - at::max_pool2d(area, {5, 5}, {1, 1}, {2, 2});
    outside.pixels = faces.pixels * (1 - far);
    inside.pixels = faces.pixels * (1 - area);
    EXPECT_TRUE(at::allclose(extractor->embed(outside), extractor->embed(faces), 1e-4, 1e-4)) << name;
    EXPECT_FALSE(at::allclose(extractor->embed(inside), extractor->embed(faces), 1e-1, 1e-1)) << name;
  }
}

TEST_F(Seen, IsEverythingWhereNothingIsAlignedAndTheUnionOtherwise) {
  const auto dlib = tiny("dlib-150"), arcface = tiny("arcface-112"), plain = tiny("none");
  const Faces faces = on_canvas();
  EXPECT_FALSE(seen_windows(faces, {dlib, plain}).defined());
  EXPECT_FALSE(seen_windows(faces, {}).defined());
  EXPECT_FALSE(seen_windows(drawn_faces(2, 64, false), {dlib}).defined()) << "no landmarks: the crop is squashed";
  const double both = seen_windows(faces, {dlib, arcface}).mean().item<double>();
  EXPECT_GT(both, seen_windows(faces, {dlib}).mean().item<double>());
  EXPECT_GT(both, seen_windows(faces, {arcface}).mean().item<double>());
}

TEST_F(Seen, IsWhereTheBudgetIsSpentUnlessTheCanvasIsAskedFor) {
  const auto card = write_tiny_extractor(folder_.path, 1, "tiny", "dlib-150").string();
  const Faces faces = on_canvas();
  const auto windows = seen_windows(faces, {make_extractor(card, {})});
  const auto spent = [&](const std::string& over) {
    const Json request = {{"preset", "fawkes-v1.0-high"}, {"surrogates", {card}}, {"steps", 40}, {"dssim_over", over}};
    const auto pixels = make_attack(request, {})->perturb(faces, 0).pixels;
    return std::pair(dssim(pixels, faces.pixels, windows).max().item<double>(),
                     dssim(pixels, faces.pixels).max().item<double>());
  };
  const auto [seen, canvas_of_seen] = spent("seen");
  const auto [seen_of_canvas, canvas] = spent("canvas");
  EXPECT_LT(seen, 1.15 * 0.017);
  EXPECT_GT(seen_of_canvas, seen) << "over the whole canvas the budget is spent where no network looks";
  EXPECT_GT(canvas, canvas_of_seen);
}

TEST_F(Seen, IsAColumnOfTheBudgetBesideTheCanvas) {
  const Dataset dataset = prepare_drawn(folder_.path, 2, 2);
  ArtifactStore store(folder_ / "store");
  const auto card = write_tiny_extractor(folder_.path).string();
  const auto pgd = make_attack({{"preset", "pgd"}, {"surrogates", {card}}, {"steps", 2}}, {}),
             noise = make_attack("noise", {});
  const auto seen = perturb(dataset.photos, dataset.photos, *pgd, 0, {}, store).budget,
             nobodys = perturb(dataset.photos, dataset.photos, *noise, 0, {}, store).budget;
  EXPECT_EQ(seen.size(), 4u);
  EXPECT_EQ(nobodys.size(), 4u);
  for (const auto& row : seen) EXPECT_NEAR(row.dssim_seen, row.dssim, 1e-12) << "squashed crops: both are the same";
  for (const auto& row : nobodys) EXPECT_TRUE(std::isnan(row.dssim_seen)) << "nobody's crop";
}

// LowKey's mean is over 512 features for every network. Without it, the perceptual term weighs 32 times less with a
// surrogate of 16.
TEST_F(Seen, LowKeysMeanRunsOver512Features) {
  const auto card = write_tiny_extractor(folder_.path).string();
  const Faces faces = drawn_faces(2, 48, false);
  const auto own_measure = [&](int features) {
    const Json request = {{"preset", "lowkey-dssim"},
                          {"surrogates", {card}},
                          {"steps", 3},
                          {"features", features},
                          {"similarity_weight", 0}};
    return make_attack(request, {})->perturb(faces, 0).own_measure;
  };
  const auto as_published = own_measure(512), own = own_measure(0);
  for (std::size_t n = 0; n < 2; ++n) EXPECT_NEAR(own[n] / as_published[n], 32, 1e-3);
  EXPECT_EQ(make_attack({{"preset", "lowkey-dssim"}, {"surrogates", {card}}}, {})->settings().parameters["features"],
            512);
}

}  // namespace
}  // namespace facepoison::testing
