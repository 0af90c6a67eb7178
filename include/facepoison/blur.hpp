// Gaussian blur.
#pragma once
#include <torch/script.h>

namespace facepoison {

// A size×size Gaussian blur of each channel of N×C×H×W, weights normalised to 1; differentiable. `reflect` pads by
// reflection to keep the size; else only windows wholly inside are blurred: N×C×(H−size+1)×(W−size+1). Throws
// c10::Error for pictures smaller than the window.
torch::Tensor gaussian_blur(const torch::Tensor& pixels, int size, double sigma, bool reflect);

}  // namespace facepoison
