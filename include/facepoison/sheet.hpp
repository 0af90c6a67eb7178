// Contact sheets: pictures side by side, to look at.
#pragma once
#include "facepoison/image.hpp"

namespace facepoison {

struct Tile {
  Image image;
  std::string label;  // drawn above the picture, see ascii_letters(); may extend over unlabelled neighbours
};

// Rows of tiles on white, each picture made side × side pixels. A row without labels has no line for them.
Image contact_sheet(const std::vector<std::vector<Tile>>& rows, int side);

// 128 + (b − a) × factor, clipped to 0 … 255; both of the same size.
Image difference_image(const Image& a, const Image& b, double factor);

// Encodes by the file name's ending: .png, .jpg or .jpeg (quality 88, at most 65,500 pixels a side). Throws
// Error(usage) otherwise.
std::string encode_image(const Image& image, const std::string& file);

}  // namespace facepoison
