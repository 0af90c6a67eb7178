// Pictures as files hold them: 8-bit RGB. OpenCV stays behind this header.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "facepoison/geometry.hpp"

namespace facepoison {

struct Image {
  int width = 0, height = 0;
  std::vector<std::uint8_t> rgb;  // height × width × 3
};

enum class Exif { rotate, ignore };

enum class Interpolation { bilinear, bicubic, nearest };

// The format of a picture by its first bytes ("JPEG", "HEIC", "WebP", …), or "" for no picture. 64 bytes are enough.
std::string picture_format(std::string_view start);

// Decodes a JPEG, PNG or BMP, known by its first bytes. Throws Error(input) with the reason, without the file's name,
// for anything else, a file that lacks some of the picture, more than 64 MB, or more than 50 megapixels (the header is
// read first, so a small file that claims a huge picture costs no memory). Defects that lose no pixel (a missing end
// marker, a damaged note) go to the debug log. Grey becomes RGB, 16 bits become 8, and transparent pixels are laid on
// white: an alpha channel, a PNG's transparent colours.
Image decode_image(std::string_view bytes, Exif exif);

std::string encode_png(const Image& image);
std::string encode_jpeg(const Image& image, int quality);  // 1 … 100

// The picture warped by `to_canvas` (source pixels → canvas pixels) on a black side × side square; bilinear, after
// a halving by area for every factor of two that the picture shrinks, so that large photos do not alias.
Image warp_image(const Image& image, const Similarity& to_canvas, int side);

Image resize_image(const Image& image, int width, int height);  // enlarges bilinearly, shrinks by area

// Resizes as PIL (antialiased) or OpenCV (not); a few pixels may differ by a grey level. `nearest` is never
// antialiased.
Image resample_image(const Image& image, int width, int height, Interpolation interpolation, bool antialias);

Image crop_image(const Image& image, int x, int y, int width, int height);  // black outside the picture

}  // namespace facepoison
