// Similarities, templates, and the canvas that must hold every template.
#include "facepoison/geometry.hpp"

#include <cmath>

#include "support/support.hpp"

namespace facepoison {
namespace {

using namespace testing;

constexpr Landmarks face = {{{30, 40}, {70, 42}, {51, 60}, {35, 80}, {66, 81}}};

Landmarks moved(const Landmarks& points, const Similarity& by) {
  Landmarks out;
  for (std::size_t i = 0; i < 5; ++i) out[i] = by.apply(points[i]);
  return out;
}

void expect_near(const Similarity& a, const Similarity& b, double tolerance = 1e-9) {
  EXPECT_NEAR(a.a, b.a, tolerance);
  EXPECT_NEAR(a.b, b.b, tolerance);
  EXPECT_NEAR(a.tx, b.tx, tolerance);
  EXPECT_NEAR(a.ty, b.ty, tolerance);
}

// Σ ‖s(from) − to‖²
double residual(const Similarity& s, const Landmarks& from, const Landmarks& to) {
  double sum = 0;
  for (std::size_t i = 0; i < 5; ++i)
    sum += std::pow(s.apply(from[i]).x - to[i].x, 2) + std::pow(s.apply(from[i]).y - to[i].y, 2);
  return sum;
}

TEST(FitSimilarity, RecoversAKnownOne) {
  for (const Similarity known :
       {Similarity{}, Similarity{0.3, 0.4, -7, 90}, Similarity{-2, 0, 5, 5}, Similarity{0, 1e-3, 1e4, -1e4}})
    expect_near(fit_similarity(face, moved(face, known)), known);
}

TEST(FitSimilarity, IsTheLeastSquaresOne) {
  Landmarks bent = moved(face, {0.8, -0.3, 12, 4});
  bent[2].x += 6, bent[4].y -= 3;
  const auto best = fit_similarity(face, bent);
  for (const double step : {-1e-3, 1e-3})
    for (const Similarity other :
         {Similarity{best.a + step, best.b, best.tx, best.ty}, Similarity{best.a, best.b + step, best.tx, best.ty},
          Similarity{best.a, best.b, best.tx + step, best.ty}, Similarity{best.a, best.b, best.tx, best.ty + step}})
      EXPECT_GT(residual(other, face, bent), residual(best, face, bent));
}

TEST(FitSimilarity, NeverReflects) {
  Landmarks mirrored = face;
  for (auto& p : mirrored) p.x = 100 - p.x;
  const auto s = fit_similarity(face, mirrored);
  const Point o = s.apply({0, 0}), x = s.apply({1, 0}), y = s.apply({0, 1});
  EXPECT_GE((x.x - o.x) * (y.y - o.y) - (x.y - o.y) * (y.x - o.x), 0);
  EXPECT_GT(residual(s, face, mirrored), 100);  // only a reflection could undo this
}

TEST(FitSimilarity, RefusesPointsThatCoincide) {
  Landmarks same;
  same.fill({12, 34});
  EXPECT_EQ(caught([&] { fit_similarity(same, face); }).code, Exit::input);
  Landmarks broken = face;
  broken[1].x = std::nan("");
  EXPECT_EQ(caught([&] { fit_similarity(broken, face); }).code, Exit::input);
}

TEST(Inverse, UndoesASimilarity) {
  const Similarity s{0.3, -0.4, 17, -5};
  EXPECT_DOUBLE_EQ(s.scale(), 0.5);
  EXPECT_DOUBLE_EQ(s.inverse().scale(), 2);
  for (const Point p : {Point{0, 0}, Point{100, -3}}) {
    const Point back = s.inverse().apply(s.apply(p));
    EXPECT_NEAR(back.x, p.x, 1e-12);
    EXPECT_NEAR(back.y, p.y, 1e-12);
  }
}

TEST(TemplateLandmarks, AreThePublishedOnesAtTheirOwnSide) {
  EXPECT_NEAR(template_landmarks("arcface-112", 112)->at(0).x, 38.2946, 1e-9);  // insightface's face_align.py
  EXPECT_NEAR(template_landmarks("arcface-112", 112)->at(4).y, 92.2041, 1e-9);
  EXPECT_FALSE(template_landmarks("none", 112));
  const auto [code, message] = caught([] { template_landmarks("arcface", 112); });
  EXPECT_EQ(code, Exit::usage);
  EXPECT_TRUE(contains(message, "arcface-112")) << message;
}

TEST(TemplateLandmarks, ScaleWithPixelAreas) {
  for (const char* name : {"arcface-112", "dlib-150"}) {
    const auto small = *template_landmarks(name, 75), large = *template_landmarks(name, 150);
    for (std::size_t i = 0; i < 5; ++i) {
      EXPECT_NEAR((small[i].x + 0.5) * 2, large[i].x + 0.5, 1e-9);
      EXPECT_NEAR((small[i].y + 0.5) * 2, large[i].y + 0.5, 1e-9);
    }
  }
}

TEST(Canvas, HoldsEveryTemplate) {
  for (const auto& [name, side] :
       {std::pair{"arcface-112", 112}, std::pair{"dlib-150", 150}, std::pair{"arcface-112", 224}}) {
    const auto to_canvas = fit_similarity(*template_landmarks(name, side), canvas_landmarks());
    for (const double x : {0, side - 1})
      for (const double y : {0, side - 1}) {
        const Point p = to_canvas.apply({x, y});
        EXPECT_TRUE(p.x >= 0 && p.x < canvas_side && p.y >= 0 && p.y < canvas_side)
            << name << " (" << x << ", " << y << ") is at " << p.x << ", " << p.y;
      }
  }
}

TEST(Canvas, IsAtTheScaleOfDlibsChip) {
  const auto s = fit_similarity(*template_landmarks("dlib-150", 150), canvas_landmarks());
  EXPECT_NEAR(s.a, 1, 1e-12);
  EXPECT_NEAR(s.b, 0, 1e-12);
}

}  // namespace
}  // namespace facepoison
