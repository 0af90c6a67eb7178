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

// The format of the picture that begins so ("JPEG", "HEIC", "WebP", …), or "" for no picture. 64 bytes are enough.
std::string picture_format(std::string_view start);

// Decodes a JPEG, PNG or BMP, known by its first bytes. Throws Error(input), whose message is the reason without the
// file's name, for anything else, a file that lacks some of the picture, more than 64 MB, or more than 50 megapixels
// (the header is read first, so a small file that claims a huge picture costs no memory). What is wrong with a file but
// costs no pixel (a missing end marker, a damaged note) goes to the debug log. Grey becomes RGB, 16 bits become 8,
// and white is seen through what is transparent: an alpha channel, a PNG's transparent colours.
Image decode_image(std::string_view bytes, Exif exif);

std::string encode_png(const Image& image);
std::string encode_jpeg(const Image& image, int quality);  // 1 … 100

// The picture seen through `to_canvas` (source pixels → canvas pixels) on a black side × side square; bilinear, after
// a halving by area for every factor of two that the picture shrinks, so that large photos do not alias.
Image warp_image(const Image& image, const Similarity& to_canvas, int side);

Image resize_image(const Image& image, int width, int height);  // bilinear enlarging, by area shrinking

// The bytes that PIL (antialiased) or OpenCV (not) make of a picture, but for a grey level here and there. `nearest` is
// never antialiased.
Image resample_image(const Image& image, int width, int height, Interpolation interpolation, bool antialias);

Image crop_image(const Image& image, int x, int y, int width, int height);  // black outside the picture

}  // namespace facepoison
