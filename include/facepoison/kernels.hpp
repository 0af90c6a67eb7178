// Faster CPU kernels for some of LibTorch's operators.
#pragma once

namespace facepoison {

// Raised when a kernel gives other bits. A part of cache keys, by arithmetic().
constexpr int kernels_version = 2;

// Registers the kernels for this process, once. All networks then use them, also in training. Results are LibTorch's up
// to rounding. Other devices keep LibTorch's own. Any thread may call it; load_model() does.
//
// - `convolution`, and the gradient with respect to its input: both as convolutions by oneDNN, if LibTorch would use
//   another library for a small batch, or if oneDNN has no fast kernel for the gradient (depthwise layers; layers with
//   a stride and few input channels, as a network's first one).
// - `prelu` with one weight for each channel, and its gradients.
void use_fast_kernels();

}  // namespace facepoison
