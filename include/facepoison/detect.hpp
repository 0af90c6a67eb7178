// Faces and their five landmarks in a picture, by a pretrained MTCNN (Zhang et al. 2016).
#pragma once
#include <memory>
#include <vector>

#include "facepoison/image.hpp"

namespace facepoison {

struct Box {
  double x1 = 0, y1 = 0, x2 = 0, y2 = 0;  // pixels
  double area() const { return (x2 - x1) * (y2 - y1); }
  bool operator==(const Box&) const = default;
};
double overlap(const Box& a, const Box& b);  // intersection over union, 0 … 1

struct Detection {
  Box box;
  Landmarks landmarks;  // pixels of the picture
  double score = 0;     // 0 … 1
};

// Finds faces, on the CPU. detect() sets LibTorch's number of threads while it runs, so that the result does not depend
// on it: one call at a time.
class FaceDetector {
 public:
  // The network file named by configs/detectors/mtcnn.json, verified by its hash. The network is loaded at the first
  // picture. Throws Error(model) when it is missing or altered.
  FaceDetector();
  ~FaceDetector();

  // Best score first. Thresholds .6/.7/.8 and pyramid factor .709 as published.
  std::vector<Detection> detect(const Image& image) const;

  const std::string& sha256() const;  // of the network file: part of a cache key

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace facepoison
