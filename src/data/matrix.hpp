// Image ↔ cv::Mat, for the files of data/ that use OpenCV.
#pragma once
#include <opencv2/core.hpp>

#include "facepoison/image.hpp"

namespace facepoison {

// The image's own pixels as a cv::Mat; OpenCV wants a mutable pointer even to read.
inline cv::Mat matrix(const Image& image) {
  return {image.height, image.width, CV_8UC3, const_cast<std::uint8_t*>(image.rgb.data())};
}

inline Image image_of(const cv::Mat& pixels) {
  Image out{pixels.cols, pixels.rows, std::vector<std::uint8_t>(pixels.total() * 3)};
  pixels.copyTo(matrix(out));
  return out;
}

}  // namespace facepoison
