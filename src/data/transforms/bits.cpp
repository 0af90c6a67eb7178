// Fewer grey levels: 2^bits per channel, evenly spread over 0 … 255.
#include <array>
#include <cmath>

#include "data/transforms/registry.hpp"

namespace facepoison {

std::unique_ptr<Transform> make_bits(Spec& spec) {
  const auto steps = static_cast<double>((1 << spec.integer("bits", 1, 8)) - 1);
  std::array<std::uint8_t, 256> table{};
  for (std::size_t v = 0; v < table.size(); ++v)
    table[v] = static_cast<std::uint8_t>(std::lround(std::round(static_cast<double>(v) / 255 * steps) / steps * 255));
  return plain([table](Image image) {
    for (auto& value : image.rgb) value = table[value];
    return image;
  });
}

}  // namespace facepoison
