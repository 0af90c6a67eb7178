// Matrices on disk: NumPy's .npy, float32, with a .csv of the rows' ids beside them.
#pragma once
#include <torch/script.h>

#include "facepoison/files.hpp"

namespace facepoison {

// Version 1.0, C order, little-endian float32, of a tensor of any shape.
std::string npy_bytes(const torch::Tensor& matrix);
void write_npy(const fs::path& path, const torch::Tensor& matrix);

// Reads float32 or float64 (to float32), version 1 to 3. Refuses other types (object arrays would be pickles),
// Fortran order, a size that does not fit the shape, and numbers that do not fit float32. Throws Error(input).
torch::Tensor read_npy(const fs::path& path);

}  // namespace facepoison
