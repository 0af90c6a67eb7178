#include "facepoison/image.hpp"
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace facepoison;
  return fuzz::reads(data, size, [](std::string_view bytes) {
    picture_format(bytes.substr(0, 64));
    const auto picture = decode_image(bytes, Exif::rotate);
    if (picture.rgb.size() != std::size_t{3} * picture.width * picture.height) std::abort();
  });
}
