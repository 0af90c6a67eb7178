// The files of kernels, each of which puts its own into LibTorch's table of operators.
#pragma once
#include <torch/library.h>

namespace facepoison {

void add_convolution(torch::Library& cpu);
void add_prelu(torch::Library& cpu, torch::Library& cpu_with_gradients);

}  // namespace facepoison
