// Landmarks, the templates that recognisers were trained on, and the canvas that holds them all.
// Coordinates are pixels with the centre of the top-left pixel at (0, 0), x to the right, y down.
#pragma once
#include <array>
#include <optional>
#include <string>

namespace facepoison {

struct Point {
  double x = 0, y = 0;
  bool operator==(const Point&) const = default;
};
constexpr double farthest_place = 1e9;  // from a picture's corner, pixels; a file that says more is wrong
// In the picture's left-to-right order: eye, eye, nose tip, mouth corner, mouth corner.
using Landmarks = std::array<Point, 5>;

// x' = a·x − b·y + tx, y' = b·x + a·y + ty: scale, rotation and shift, never a reflection.
struct Similarity {
  double a = 1, b = 0, tx = 0, ty = 0;
  Point apply(Point p) const { return {a * p.x - b * p.y + tx, b * p.x + a * p.y + ty}; }
  Similarity inverse() const;
  double scale() const;
};

// The least-squares similarity from one set of landmarks to another (Umeyama 1991, in two dimensions and without
// reflection, so that it is linear). Throws Error(input) when all points of `from` coincide.
Similarity fit_similarity(const Landmarks& from, const Landmarks& to);

// "arcface-112" (InsightFace's five points) or "dlib-150" (dlib's chip, padding 0.25), scaled to `side` pixels.
// nullopt for "none"; throws Error(usage) for any other name. Source: the projects' own alignment code.
std::optional<Landmarks> template_landmarks(const std::string& name, int side);

// The canvas: a square at the dlib chip's scale that holds dlib-150 and ArcFace-112. An ArcFace crop reaches 29 px
// above the chip; the rest of the margin is for photos whose landmarks fit the template loosely.
inline constexpr int canvas_side = 184;
Landmarks canvas_landmarks();

}  // namespace facepoison
