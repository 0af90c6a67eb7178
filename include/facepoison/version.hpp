// What is running, for --version and for the footers of tables.
#pragma once
#include <string>

namespace facepoison {

std::string version();           // "0.1.0"
std::string commit();            // short hash, "-dirty" behind it when files were changed
std::string libtorch_version();  // of the headers, with CUDA's where it was built in
std::string opencv_version();

}  // namespace facepoison
