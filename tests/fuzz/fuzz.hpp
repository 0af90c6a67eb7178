// Shared code of the fuzzed readers. For any bytes, a reader must return or throw Error: another exception, a crash or
// a sanitizer's error ends the process, and libFuzzer keeps the input.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "facepoison/error.hpp"
#include "facepoison/files.hpp"
#include "facepoison/log.hpp"

namespace facepoison::fuzz {

// A folder for readers that need a file; scripts/fuzz.sh sets and removes it.
inline const fs::path& folder() {
  static const fs::path made = [] {
    std::string pattern = (fs::temp_directory_path() / "fuzz-XXXXXX").string();
    return fs::path(mkdtemp(pattern.data()));
  }();
  return made;
}

// Not write_file(), which would wait for the disk.
inline fs::path written(const std::string& name, std::string_view bytes) {
  write_unflushed(folder() / name, bytes);
  return folder() / name;
}

template <class Read>
int reads(const std::uint8_t* data, std::size_t size, const Read& read) {
  try {
    read(std::string_view(reinterpret_cast<const char*>(data), size));
  } catch (const Error&) {  // as promised
  }
  return 0;
}

}  // namespace facepoison::fuzz

extern "C" inline int LLVMFuzzerInitialize(int*, char***) {
  facepoison::set_verbosity(facepoison::Verbosity::quiet);
  return 0;
}
