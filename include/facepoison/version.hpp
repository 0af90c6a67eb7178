// The program's version and the time, for --version and for run records.
#pragma once
#include <string>

namespace facepoison {

std::string version();           // "0.1.0"
std::string commit();            // short hash, with "-dirty" if files were changed
std::string libtorch_version();  // of the headers, with CUDA's if it was built in
std::string opencv_version();
std::string utc_time();  // of now, "2026-11-25T10:14:00Z"

}  // namespace facepoison
