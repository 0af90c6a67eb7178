// Matrices on disk: NumPy's .npy, float32, with a .csv of the rows' ids beside them.
#pragma once
#include <torch/script.h>

#include "facepoison/files.hpp"

namespace facepoison {

// The bytes of a .npy file, version 1.0, C order, little-endian float32, of a tensor of any shape on the CPU.
std::string npy_bytes(const torch::Tensor& matrix);
// Writes such a file. Throws as write_file().
void write_npy(const fs::path& path, const torch::Tensor& matrix);

// Reads float32 or float64, version 1 to 3; as float32, or `as_stored`; on the CPU. Refuses other types (object arrays
// would be pickles), Fortran order, a size that does not fit the shape, and numbers beyond float32's range. Throws
// Error(input).
enum class Precision { float32, as_stored };
torch::Tensor read_npy(const fs::path& path, Precision precision = Precision::float32);

}  // namespace facepoison
