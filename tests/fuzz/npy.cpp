#include "facepoison/npy.hpp"
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace facepoison;
  return fuzz::reads(data, size, [](std::string_view bytes) { npy_bytes(read_npy(fuzz::written("x.npy", bytes))); });
}
