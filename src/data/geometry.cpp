#include "facepoison/geometry.hpp"

#include <cmath>

#include "facepoison/error.hpp"

namespace facepoison {
namespace {

constexpr Landmarks arcface_112 = {
    {{38.2946, 51.6963}, {73.5318, 51.5014}, {56.0252, 71.7366}, {41.5493, 92.3655}, {70.7299, 92.2041}}};
constexpr Landmarks dlib_150 = {{{47.55, 46.60}, {100.48, 46.60}, {74.01, 76.56}, {50.41, 103.02}, {97.61, 103.02}}};

// Templates are drawn on 112 and 150 px. Scaling maps pixel areas, with centres half a pixel inside.
Landmarks scaled(const Landmarks& points, double factor) {
  Landmarks out = points;
  for (auto& p : out) p = {(p.x + 0.5) * factor - 0.5, (p.y + 0.5) * factor - 0.5};
  return out;
}

}  // namespace

double Similarity::scale() const { return std::hypot(a, b); }

Similarity Similarity::inverse() const {
  const double n = a * a + b * b;
  Similarity out{a / n, -b / n, 0, 0};
  out.tx = -(out.a * tx - out.b * ty);
  out.ty = -(out.b * tx + out.a * ty);
  return out;
}

Similarity fit_similarity(const Landmarks& from, const Landmarks& to) {
  Point from_mean, to_mean;
  for (std::size_t i = 0; i < from.size(); ++i) {
    from_mean = {from_mean.x + from[i].x / 5, from_mean.y + from[i].y / 5};
    to_mean = {to_mean.x + to[i].x / 5, to_mean.y + to[i].y / 5};
  }
  double dot = 0, cross = 0, norm = 0;
  for (std::size_t i = 0; i < from.size(); ++i) {
    const double fx = from[i].x - from_mean.x, fy = from[i].y - from_mean.y;
    const double gx = to[i].x - to_mean.x, gy = to[i].y - to_mean.y;
    dot += fx * gx + fy * gy;
    cross += fx * gy - fy * gx;
    norm += fx * fx + fy * fy;
  }
  if (!(norm > 0)) throw Error(Exit::input, "the five landmarks coincide");
  Similarity s{dot / norm, cross / norm, 0, 0};
  s.tx = to_mean.x - (s.a * from_mean.x - s.b * from_mean.y);
  s.ty = to_mean.y - (s.b * from_mean.x + s.a * from_mean.y);
  return s;
}

std::optional<Landmarks> template_landmarks(const std::string& name, int side) {
  if (name == "arcface-112") return scaled(arcface_112, side / 112.0);
  if (name == "dlib-150") return scaled(dlib_150, side / 150.0);
  if (name == "none") return std::nullopt;
  throw Error(Exit::usage, concat("template \"", name, "\": expected arcface-112, dlib-150 or none"));
}

Landmarks canvas_landmarks() {
  Landmarks points = dlib_150;
  for (auto& p : points) p = {p.x + (canvas_side - 150) / 2.0, p.y + (canvas_side - 150) - 2.0};
  return points;
}

}  // namespace facepoison
