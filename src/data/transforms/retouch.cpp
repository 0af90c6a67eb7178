// A retouch as photo editors offer it: skin is smoothed and edges are kept (bilateral filter), local contrast rises
// (CLAHE on Lab's lightness), and colours become warmer (Lab's b) or, below 0, cooler. A control: it changes a photo
// visibly, but not against recognisers.
#include <opencv2/imgproc.hpp>

#include "data/matrix.hpp"
#include "data/transforms/registry.hpp"

namespace facepoison {
namespace {

// Of 8 bits; the sizes are those of a strong retouch.
cv::Mat smoothed(const cv::Mat& rgb, double share) {
  constexpr double similar = 30;        // grey levels
  const double near = rgb.cols / 50.0;  // pixels
  cv::Mat smooth, out;
  cv::bilateralFilter(rgb, smooth, /*size from near*/ -1, similar, near);
  cv::addWeighted(rgb, 1 - share, smooth, share, 0, out);
  return out;
}

// Of lightness from 0 to 100.
cv::Mat with_contrast(const cv::Mat& lightness, double share) {
  cv::Mat levels, raised, out;
  lightness.convertTo(levels, CV_8U, 2.55);
  cv::createCLAHE(/*clip limit*/ 2, /*tiles*/ {4, 4})->apply(levels, raised);
  cv::subtract(raised, levels, out, cv::noArray(), CV_32F);
  return lightness + out * (share / 2.55);
}

}  // namespace

std::unique_ptr<Transform> make_retouch(Spec& spec) {
  const double smoothing = spec.number("smoothing", 0, 1, 0.5), contrast = spec.number("contrast", 0, 1, 0.3),
               warmth = spec.number("warmth", -1, 1, 0.3);
  return plain([=](const Image& image) {
    cv::Mat lab, rgb;
    smoothed(matrix(image), smoothing).convertTo(rgb, CV_32F, 1 / 255.0);
    cv::cvtColor(rgb, lab, cv::COLOR_RGB2Lab);
    cv::Mat channels[3];
    cv::split(lab, channels);
    channels[0] = with_contrast(channels[0], contrast);
    channels[2] += 20 * warmth;
    cv::merge(channels, 3, lab);
    cv::cvtColor(lab, rgb, cv::COLOR_Lab2RGB);
    cv::Mat out;
    rgb.convertTo(out, CV_8U, 255);
    return image_of(out);
  });
}

}  // namespace facepoison
