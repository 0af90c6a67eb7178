// JPEG compression, as sites that take photos do it.
#include <turbojpeg.h>

#include "data/transforms/registry.hpp"

namespace facepoison {
namespace {

std::string compressed(const Image& image, int quality, TJSAMP subsampling) {
  const std::unique_ptr<void, int (*)(tjhandle)> encoder(tjInitCompress(), tjDestroy);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  const int failed = tjCompress2(encoder.get(), image.rgb.data(), image.width, 0, image.height, TJPF_RGB, &bytes, &size,
                                 subsampling, quality, TJFLAG_ACCURATEDCT);
  const std::unique_ptr<unsigned char, void (*)(unsigned char*)> owner(bytes, tjFree);
  if (failed) throw Error(Exit::failure, concat("a picture could not be encoded: ", tjGetErrorStr2(encoder.get())));
  return {bytes, bytes + size};
}

}  // namespace

std::unique_ptr<Transform> make_jpeg(Spec& spec) {
  const auto quality = static_cast<int>(spec.integer("quality", 1, 100));
  const auto subsampling = spec.choice("subsampling", {"420", "422", "444"}, "420");
  const auto code = subsampling == "444" ? TJSAMP_444 : subsampling == "422" ? TJSAMP_422 : TJSAMP_420;
  return plain(
      [quality, code](const Image& image) { return decode_image(compressed(image, quality, code), Exif::ignore); });
}

}  // namespace facepoison
