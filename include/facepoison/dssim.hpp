// Structural dissimilarity between pictures.
#pragma once
#include <torch/script.h>

namespace facepoison {

// (1 − SSIM)/2 per picture: two N×3×H×W tensors in [0,1] → N, in [0,1]; differentiable. SSIM as TensorFlow's
// tf.image.ssim (Wang et al. 2004): 11×11 Gaussian of σ 1.5, K1 .01, K2 .03, windows wholly inside, mean over pixels
// and channels, or over the windows that `windows` (N×1×(H−10)×(W−10), 1 or 0) names. Throws c10::Error for pictures
// under 11 pixels.
torch::Tensor dssim(const torch::Tensor& a, const torch::Tensor& b, const torch::Tensor& windows = {});

// The windows that lie wholly inside an area: N×1×H×W, 1 or 0 → N×1×(H−10)×(W−10).
torch::Tensor windows_inside(const torch::Tensor& area);

}  // namespace facepoison
