// The files of kernels. Each registers its kernels as operators of LibTorch.
#pragma once
#include <torch/library.h>

namespace facepoison {

void add_convolution(torch::Library& cpu);
void add_prelu(torch::Library& cpu, torch::Library& cpu_with_gradients);

}  // namespace facepoison
