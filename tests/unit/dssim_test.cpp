// DSSIM against plain loops in double, its gradient against finite differences, and the blur beneath it.
#include "facepoison/dssim.hpp"

#include <cmath>

#include "facepoison/blur.hpp"
#include "support/support.hpp"

namespace facepoison {
namespace {

using namespace testing;

// (1 − SSIM)/2 of one picture, by the definition: every 11×11 window that lies inside, every channel.
double plain_dssim(const torch::Tensor& a, const torch::Tensor& b) {
  const auto pa = a.to(torch::kFloat64), pb = b.to(torch::kFloat64);
  const auto x = pa.accessor<double, 3>(), y = pb.accessor<double, 3>();
  double total = 0;
  for (int i = 0; i < 11; ++i)
    for (int j = 0; j < 11; ++j) total += std::exp(-((i - 5) * (i - 5) + (j - 5) * (j - 5)) / (2 * 1.5 * 1.5));
  double sum = 0;
  int windows = 0;
  for (int c = 0; c < x.size(0); ++c)
    for (int top = 0; top + 11 <= x.size(1); ++top)
      for (int left = 0; left + 11 <= x.size(2); ++left, ++windows) {
        double mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
        for (int i = 0; i < 11; ++i)
          for (int j = 0; j < 11; ++j) {
            const double w = std::exp(-((i - 5) * (i - 5) + (j - 5) * (j - 5)) / (2 * 1.5 * 1.5)) / total;
            const double u = x[c][top + i][left + j], v = y[c][top + i][left + j];
            mx += w * u, my += w * v, xx += w * u * u, yy += w * v * v, xy += w * u * v;
          }
        const double c1 = 1e-4, c2 = 9e-4;
        sum += (2 * mx * my + c1) * (2 * (xy - mx * my) + c2) /
               ((mx * mx + my * my + c1) * (xx - mx * mx + yy - my * my + c2));
      }
  return (1 - sum / windows) / 2;
}

class Dssim : public ::testing::Test {
 protected:
  void SetUp() override { torch::manual_seed(3); }
};

TEST_F(Dssim, IsZeroForEqualPictures) {
  const auto a = torch::rand({3, 3, 16, 20});
  const auto found = dssim(a, a);
  EXPECT_EQ(found.sizes(), std::vector<std::int64_t>{3});
  EXPECT_LT(found.abs().max().item<double>(), 1e-6);
}

TEST_F(Dssim, IsThatOfPlainLoops) {
  const auto a = torch::rand({2, 3, 13, 17}, torch::kFloat64),
             b = (a + 0.2 * torch::randn({2, 3, 13, 17}, torch::kFloat64)).clamp(0, 1);
  const auto exact = dssim(a, b), single = dssim(a.to(torch::kFloat32), b.to(torch::kFloat32));
  for (int n = 0; n < 2; ++n) {
    EXPECT_NEAR(exact[n].item<double>(), plain_dssim(a[n], b[n]), 1e-12);
    EXPECT_NEAR(single[n].item<double>(), plain_dssim(a[n], b[n]), 1e-5);
    EXPECT_GT(plain_dssim(a[n], b[n]), 0.01);
  }
}

TEST_F(Dssim, IsAKnownNumberForFlatPictures) {
  const auto a = torch::full({1, 3, 11, 11}, 0.25, torch::kFloat64),
             b = torch::full({1, 3, 11, 11}, 0.75, torch::kFloat64);
  EXPECT_NEAR(dssim(a, b).item<double>(), (1 - (2 * 0.25 * 0.75 + 1e-4) / (0.0625 + 0.5625 + 1e-4)) / 2, 1e-12);
}

TEST_F(Dssim, MeasuresEachPictureAloneAndEitherWay) {
  const auto a = torch::rand({3, 3, 12, 12}), b = torch::rand({3, 3, 12, 12});
  const auto together = dssim(a, b);
  for (int n = 0; n < 3; ++n)
    EXPECT_NEAR(dssim(a.narrow(0, n, 1), b.narrow(0, n, 1)).item<double>(), together[n].item<double>(), 1e-6);
  EXPECT_TRUE(torch::allclose(dssim(b, a), together));
  EXPECT_TRUE((together >= 0).all().item<bool>() && (together <= 1).all().item<bool>());
  EXPECT_GT(dssim(a, 1 - a).min().item<double>(), 0.5);  // a negative is worse than another picture
}

TEST_F(Dssim, HasTheGradientOfFiniteDifferences) {
  const auto a = torch::rand({1, 3, 12, 12}, torch::kFloat64),
             b = torch::rand({1, 3, 12, 12}, torch::kFloat64).requires_grad_(true);
  dssim(a, b).sum().backward();
  const auto slope = b.grad();
  for (int k = 0; k < 12; ++k) {
    auto step = torch::zeros_like(a);
    step[0][k % 3][k][(k * 5) % 12] = 1e-5;
    const double difference = ((dssim(a, b.detach() + step) - dssim(a, b.detach() - step)) / 2e-5).item<double>();
    EXPECT_NEAR((slope * step).sum().item<double>() / 1e-5, difference, 1e-8);
  }
  EXPECT_GT(slope.abs().max().item<double>(), 1e-4);
}

TEST_F(Dssim, ThrowsForPicturesUnderItsWindow) {
  EXPECT_THROW(dssim(torch::rand({1, 3, 10, 30}), torch::rand({1, 3, 10, 30})), c10::Error);
}

TEST(GaussianBlur, KeepsConstantsAndSize) {
  const auto flat = torch::full({2, 3, 9, 12}, 0.3, torch::kFloat64);
  EXPECT_TRUE(torch::allclose(gaussian_blur(flat, 7, 2, true), flat));
  const auto valid = gaussian_blur(flat, 7, 2, false);
  EXPECT_EQ(valid.sizes(), (std::vector<std::int64_t>{2, 3, 3, 6}));
  EXPECT_NEAR(valid.mean().item<double>(), 0.3, 1e-12);
}

TEST(GaussianBlur, SpreadsAPointAsItsWeights) {
  auto point = torch::zeros({1, 3, 15, 15}, torch::kFloat64);
  point[0][1][7][7] = 1;
  const auto spread = gaussian_blur(point, 7, 1.3, true)[0];
  EXPECT_NEAR(spread[1].sum().item<double>(), 1, 1e-12);  // nothing is lost inside
  EXPECT_EQ(spread[0].abs().sum().item<double>(), 0);     // nothing goes to other channels
  const auto at = [&](int y, int x) { return spread[1][7 + y][7 + x].item<double>(); };
  EXPECT_NEAR(at(0, 2) / at(0, 0), std::exp(-4 / (2 * 1.3 * 1.3)), 1e-12);
  EXPECT_NEAR(at(-1, 2), at(2, -1), 1e-15);
  EXPECT_NEAR(at(1, 2) / at(0, 0), std::exp(-5 / (2 * 1.3 * 1.3)), 1e-12);
  EXPECT_EQ(at(0, 4), 0);
}

TEST_F(Dssim, OverSomeWindowsIsThatOfThePartTheyCover) {
  const auto a = torch::rand({2, 3, 40, 40}), b = (a + 0.1 * torch::rand({2, 3, 40, 40})).clamp(0, 1);
  auto area = torch::zeros({2, 1, 40, 40});
  area.slice(2, 4, 30).slice(3, 10, 36).fill_(1);
  const auto part = [](const torch::Tensor& t) { return t.slice(2, 4, 30).slice(3, 10, 36); };
  EXPECT_TRUE(at::allclose(dssim(a, b, windows_inside(area)), dssim(part(a), part(b)), 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(dssim(a, b, windows_inside(torch::ones({2, 1, 40, 40}))), dssim(a, b), 1e-5, 1e-6));
}

}  // namespace
}  // namespace facepoison
