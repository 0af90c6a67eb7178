#include "facepoison/image.hpp"

#include <turbojpeg.h>

#include <cstring>
#include <memory>
#include <new>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "data/matrix.hpp"
#include "facepoison/error.hpp"
#include "facepoison/version.hpp"

namespace facepoison {
namespace {

constexpr std::size_t max_bytes = std::size_t{64} << 20;
constexpr std::uint64_t max_pixels = 50'000'000;

[[noreturn]] void refuse(const std::string& reason) { throw Error(Exit::input, reason); }

void check_size(std::uint64_t width, std::uint64_t height) {
  if (width == 0 || height == 0) refuse("a picture of no pixels");
  if (width * height > max_pixels) refuse(concat(width, "×", height, " pixels; at most 50 million are decoded"));
}

std::uint32_t big_endian(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

std::uint32_t crc32_of(std::string_view bytes) {  // PNG's polynomial
  std::uint32_t crc = ~0u;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int k = 0; k < 8; ++k) crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
  }
  return ~crc;
}

// OpenCV fills the missing part of a truncated JPEG with grey and says nothing; libjpeg-turbo can be told to stop.
void check_jpeg(std::string_view bytes) {
  const std::unique_ptr<void, int (*)(tjhandle)> decoder(tjInitDecompress(), tjDestroy);
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  int width = 0, height = 0, subsampling = 0, colours = 0;
  if (tjDecompressHeader3(decoder.get(), data, bytes.size(), &width, &height, &subsampling, &colours) != 0)
    refuse(concat("damaged JPEG header: ", tjGetErrorStr2(decoder.get())));
  check_size(static_cast<std::uint64_t>(width), static_cast<std::uint64_t>(height));
  const bool cmyk = colours == TJCS_CMYK || colours == TJCS_YCCK;
  const int format = cmyk ? TJPF_CMYK : TJPF_GRAY;
  std::vector<unsigned char> pixels(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) *
                                    (cmyk ? 4 : 1));
  if (tjDecompress2(decoder.get(), data, bytes.size(), pixels.data(), width, 0, height, format, TJFLAG_STOPONWARNING) !=
      0)
    refuse(concat("truncated or damaged JPEG: ", tjGetErrorStr2(decoder.get())));
}

// Every chunk is there, whole, and the last one is the end: OpenCV would return a half picture.
void check_png(std::string_view bytes) {
  if (bytes.size() < 33 || bytes.substr(12, 4) != "IHDR") refuse("truncated PNG: no header");
  check_size(big_endian(bytes, 16), big_endian(bytes, 20));
  for (std::size_t at = 8;;) {
    if (bytes.size() - at < 12) refuse("truncated PNG: the end chunk is missing");
    const std::size_t length = big_endian(bytes, at);
    std::string name(bytes.substr(at + 4, 4));
    const bool end = name == "IEND";
    for (auto& c : name) c = std::isalpha(static_cast<unsigned char>(c)) ? c : '?';  // it goes into messages
    if (length > bytes.size() - at - 12) refuse(concat("truncated PNG: chunk ", name, " is cut short"));
    if (crc32_of(bytes.substr(at + 4, length + 4)) != big_endian(bytes, at + 8 + length))
      refuse(concat("damaged PNG: chunk ", name, " has a wrong checksum"));
    if (end) return;
    at += 12 + length;
  }
}

void check_bmp(std::string_view bytes) {
  if (bytes.size() < 26) refuse("truncated BMP: no header");
  std::int32_t width = 0, height = 0;
  std::uint32_t size = 0;
  std::memcpy(&size, bytes.data() + 2, 4);
  std::memcpy(&width, bytes.data() + 18, 4);
  std::memcpy(&height, bytes.data() + 22, 4);
  check_size(static_cast<std::uint64_t>(std::abs(static_cast<std::int64_t>(width))),
             static_cast<std::uint64_t>(std::abs(static_cast<std::int64_t>(height))));
  if (size > bytes.size()) refuse("truncated BMP");
}

void check(std::string_view bytes) {
  if (bytes.size() > max_bytes) refuse(concat(bytes.size(), " bytes; at most 64 MB are decoded"));
  if (bytes.empty()) refuse("an empty file");
  if (bytes.starts_with("\xff\xd8\xff")) return check_jpeg(bytes);
  if (bytes.starts_with("\x89PNG\r\n\x1a\n")) return check_png(bytes);
  if (bytes.starts_with("BM")) return check_bmp(bytes);
  if (bytes.starts_with("<")) refuse("an HTML or XML page, not a picture");
  refuse("not a JPEG, PNG or BMP picture");
}

std::string encode(const Image& image, const char* ending, const std::vector<int>& settings) {
  cv::Mat bgr;
  cv::cvtColor(matrix(image), bgr, cv::COLOR_RGB2BGR);
  std::vector<unsigned char> bytes;
  if (!cv::imencode(ending, bgr, bytes, settings))
    throw Error(Exit::failure, concat("a picture could not be encoded as ", ending));
  return {bytes.begin(), bytes.end()};
}

}  // namespace

Image decode_image(std::string_view bytes, Exif exif) {
  check(bytes);
  const cv::Mat raw(1, static_cast<int>(bytes.size()), CV_8U, const_cast<char*>(bytes.data()));
  try {
    cv::Mat pixels = cv::imdecode(raw, cv::IMREAD_COLOR | (exif == Exif::ignore ? cv::IMREAD_IGNORE_ORIENTATION : 0));
    if (pixels.empty()) refuse("cannot be decoded");
    cv::cvtColor(pixels, pixels, cv::COLOR_BGR2RGB);
    return image_of(pixels);
  } catch (const cv::Exception& error) {
    if (error.code == cv::Error::StsNoMem) throw std::bad_alloc();  // nothing that is wrong with the picture
    refuse(concat("cannot be decoded: ", error.err));
  }
}

std::string encode_png(const Image& image) { return encode(image, ".png", {cv::IMWRITE_PNG_COMPRESSION, 4}); }

std::string encode_jpeg(const Image& image, int quality) {
  return encode(image, ".jpg", {cv::IMWRITE_JPEG_QUALITY, quality});
}

Image warp_image(const Image& image, const Similarity& to_canvas, int side) {
  cv::Mat pixels = matrix(image);
  Similarity map = to_canvas;
  while (map.scale() < 0.5 && pixels.cols > 1 && pixels.rows > 1) {
    cv::Mat half;
    cv::resize(pixels, half, {}, 0.5, 0.5, cv::INTER_AREA);
    pixels = half;
    // Pixel x of the half picture covers 2x and 2x+1, whose middle is 2x + 0.5.
    map = {2 * map.a, 2 * map.b, map.tx + 0.5 * (map.a - map.b), map.ty + 0.5 * (map.a + map.b)};
  }
  const cv::Matx23d affine(map.a, -map.b, map.tx, map.b, map.a, map.ty);
  cv::Mat canvas;
  cv::warpAffine(pixels, canvas, affine, {side, side}, cv::INTER_LINEAR, cv::BORDER_CONSTANT, cv::Scalar(0, 0, 0));
  return image_of(canvas);
}

Image resize_image(const Image& image, int width, int height) {
  cv::Mat out;
  const bool shrinks = width < image.width || height < image.height;
  cv::resize(matrix(image), out, {width, height}, 0, 0, shrinks ? cv::INTER_AREA : cv::INTER_LINEAR);
  return image_of(out);
}

Image crop_image(const Image& image, int x, int y, int width, int height) {
  cv::Mat out = cv::Mat::zeros(height, width, CV_8UC3);
  const cv::Rect inside = cv::Rect(x, y, width, height) & cv::Rect(0, 0, image.width, image.height);
  if (!inside.empty()) matrix(image)(inside).copyTo(out(inside - cv::Point(x, y)));
  return image_of(out);
}

std::string opencv_version() { return CV_VERSION; }

}  // namespace facepoison
