// Pictures on the 8-bit grid.
#pragma once
#include <torch/script.h>

namespace facepoison {

// Clamps to [0,1] and rounds to the nearest multiple of 1/255.
torch::Tensor rounded(const torch::Tensor& pixels);

// Clamps to [0,1] and rounds down to a multiple of 1/255, as a cast to uint8 does. A pixel slightly below a grey level
// gets the lower one.
torch::Tensor truncated(const torch::Tensor& pixels);

}  // namespace facepoison
