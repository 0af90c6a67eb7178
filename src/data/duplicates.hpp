// Photos that show the same picture and the same face in it, exactly or nearly.
#pragma once
#include "facepoison/dataset.hpp"

namespace facepoison {

// A picture as 16 × 16 grey levels, row after row: what a copy keeps when it is saved again, resized or brightened.
using Thumbnail = std::vector<std::uint8_t>;
Thumbnail thumbnail_of(const Image& image);

// For each photo, in the order of ids, the index of the first photo that it repeats and that repeats none itself, or
// its own index. The rule and its measurement are in duplicates.cpp.
std::vector<std::size_t> find_originals(const std::vector<Photo>& photos, const std::vector<Thumbnail>& thumbnails);

}  // namespace facepoison
