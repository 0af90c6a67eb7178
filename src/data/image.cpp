#include "facepoison/image.hpp"

#include <algorithm>
#include <cctype>
#include <csetjmp>
#include <cstdio>  // jpeglib.h needs it
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <zlib.h>

#include <jpeglib.h>
#include <jerror.h>

#include "data/matrix.hpp"
#include "facepoison/error.hpp"
#include "facepoison/log.hpp"
#include "facepoison/version.hpp"

namespace facepoison {
namespace {

constexpr std::size_t max_bytes = std::size_t{64} << 20;
constexpr std::uint64_t max_pixels = 50'000'000;

[[noreturn]] void refuse(const std::string& reason) { throw Error(Exit::input, reason); }

std::uint64_t checked_size(std::uint64_t width, std::uint64_t height) {
  if (width == 0 || height == 0) refuse("a picture of no pixels");
  if (width * height > max_pixels) refuse(concat(width, "×", height, " pixels; at most 50 million are decoded"));
  return width * height;
}

// Throws std::bad_alloc if there is no room to decode; OpenCV only says that it has no pixels, though nothing is wrong
// with the picture. A decoder needs at most 12 bytes a pixel (4 colours' coefficients and 3 of the result), and its
// buffers.
void require_room(std::uint64_t pixels) { ::operator delete(::operator new(12 * pixels + (1 << 20))); }

std::uint32_t big_endian(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

std::uint32_t checksum(std::string_view bytes) {  // PNG's
  return static_cast<std::uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

// The messages of libjpeg about a picture. It warns of much that loses no pixel (phones' parameters of a scan, stray
// bytes between segments, later revisions of JFIF), and of losses: their codes distinguish them.
struct JpegMessages {
  jpeg_error_mgr manager;  // first, so that a pointer to it points to the whole
  std::jmp_buf on_error;
  bool lost = false;             // part of the picture
  bool cut = false;              // the file ended before its end marker
  char text[JMSG_LENGTH_MAX]{};  // of an error, else of a loss, else of the first warning

  JpegMessages();
  void throw_shortage() const {
    if (manager.msg_code == JERR_OUT_OF_MEMORY || manager.msg_code == JERR_FILE_WRITE)  // it writes to memory only
      throw std::bad_alloc();  // nothing is wrong with the picture
  }
};

JpegMessages& messages_of(j_common_ptr codec) { return *reinterpret_cast<JpegMessages*>(codec->err); }

[[noreturn]] void stop_at_error(j_common_ptr codec) {
  codec->err->format_message(codec, messages_of(codec).text);
  std::longjmp(messages_of(codec).on_error, 1);
}

void note_warning(j_common_ptr codec, int level) {
  if (level >= 0) return;  // a trace
  auto& messages = messages_of(codec);
  const int code = codec->err->msg_code;
  const bool loses =
      code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE || code == JWRN_ARITH_BAD_CODE || code == JWRN_MUST_RESYNC;
  if ((loses && !messages.lost) || codec->err->num_warnings++ == 0) codec->err->format_message(codec, messages.text);
  messages.lost = messages.lost || loses;
  messages.cut = messages.cut || code == JWRN_JPEG_EOF;
}

JpegMessages::JpegMessages() {
  jpeg_std_error(&manager);
  manager.error_exit = stop_at_error;
  manager.emit_message = note_warning;
}

// Some pictures come in scans, each of another colour or finer. If a colour's scan is missing, rows are flat or grey.
bool has_all_colours(const jpeg_decompress_struct& codec) {
  for (int i = 0; i < codec.num_components; ++i) {
    if (!codec.comp_info[i].quant_table) return false;  // it is set at a component's first scan
    if (codec.progressive_mode && codec.coef_bits && codec.coef_bits[i][0] < 0) return false;  // not even its means
  }
  return true;
}

// A picture that is cut between two scans is coarse; a whole file may also lack the finest scans.
bool has_finest_scans(const jpeg_decompress_struct& codec) {
  if (!codec.progressive_mode || !codec.coef_bits) return true;
  for (int i = 0; i < codec.num_components; ++i)
    for (const int bits_to_come : codec.coef_bits[i])
      if (bits_to_come != 0) return false;
  return true;
}

enum class JpegState { damaged_header, too_large, lossy, lacks_colour, whole };

void open_jpeg(jpeg_decompress_struct& codec, std::string_view bytes) {
  jpeg_create_decompress(&codec);
  jpeg_mem_src(&codec, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_save_markers(&codec, JPEG_APP0 + 1, 0xffff);  // EXIF
  jpeg_read_header(&codec, TRUE);
}

// Decodes every row and keeps none. Here and in rewrite_jpeg() nothing has a destructor, since libjpeg's errors jump
// out.
JpegState walk_jpeg(jpeg_decompress_struct& codec, JpegMessages& messages, std::string_view bytes) {
  volatile JpegState state = JpegState::damaged_header;
  if (setjmp(messages.on_error) != 0) return state;
  open_jpeg(codec, bytes);
  if (std::uint64_t{codec.image_width} * codec.image_height > max_pixels) return JpegState::too_large;
  state = JpegState::lossy;
  if (codec.jpeg_color_space == JCS_YCbCr) codec.out_color_space = JCS_GRAYSCALE;  // half of the work
  jpeg_start_decompress(&codec);
  const auto row = codec.mem->alloc_sarray(reinterpret_cast<j_common_ptr>(&codec), JPOOL_IMAGE,
                                           codec.output_width * static_cast<JDIMENSION>(codec.output_components), 1);
  while (codec.output_scanline < codec.output_height) jpeg_read_scanlines(&codec, row, 1);
  if (messages.lost) return state;
  if (!has_all_colours(codec)) return JpegState::lacks_colour;
  if (messages.cut && !has_finest_scans(codec)) return state;
  state = JpegState::whole;
  jpeg_finish_decompress(&codec);  // may warn of data behind the picture
  return state;
}

// Copies the picture, coefficient for coefficient, without its defects.
bool rewrite_jpeg(jpeg_decompress_struct& from, jpeg_compress_struct& to, JpegMessages& messages,
                  std::string_view bytes, std::FILE* out) {
  if (setjmp(messages.on_error) != 0) return false;
  open_jpeg(from, bytes);
  const auto coefficients = jpeg_read_coefficients(&from);
  jpeg_create_compress(&to);
  jpeg_stdio_dest(&to, out);
  jpeg_copy_critical_parameters(&from, &to);
  jpeg_write_coefficients(&to, coefficients);
  for (auto* marker = from.marker_list; marker; marker = marker->next)
    jpeg_write_marker(&to, marker->marker, marker->data, marker->data_length);
  jpeg_finish_compress(&to);
  return true;
}

// OpenCV's libjpeg would print the warnings, and lose the last rows if the end marker is missing.
std::string rewritten(std::string_view bytes) {
  jpeg_decompress_struct from{};
  jpeg_compress_struct to{};
  JpegMessages messages;
  from.err = to.err = &messages.manager;
  char* out = nullptr;
  std::size_t size = 0;
  std::FILE* const file = open_memstream(&out, &size);  // libjpeg's own buffer would leak after an error
  if (!file) throw std::bad_alloc();
  const bool done = rewrite_jpeg(from, to, messages, bytes, file);
  jpeg_destroy_compress(&to);
  jpeg_destroy_decompress(&from);
  std::fclose(file);
  const std::unique_ptr<char, decltype(&std::free)> written(out, &std::free);
  messages.throw_shortage();
  return done ? std::string(written.get(), size) : "";  // without it, OpenCV still decodes the rows
}

// Checks a JPEG. Returns the bytes to decode if they differ from the file's, else "". OpenCV would fill the missing
// part of a truncated JPEG with grey, without an error.
std::string check_jpeg(std::string_view bytes, std::uint64_t& pixels) {
  jpeg_decompress_struct codec{};
  JpegMessages messages;
  codec.err = &messages.manager;
  const auto state = walk_jpeg(codec, messages, bytes);
  const auto width = codec.image_width, height = codec.image_height;
  jpeg_destroy_decompress(&codec);
  messages.throw_shortage();
  if (state == JpegState::damaged_header) refuse(concat("damaged JPEG header: ", messages.text));
  pixels = checked_size(width, height);
  if (state == JpegState::lossy) refuse(concat("truncated or damaged JPEG: ", messages.text));
  if (state == JpegState::lacks_colour) refuse("truncated JPEG: one of its colours has no scan");
  if (messages.manager.num_warnings == 0) return "";
  log_debug(concat("a JPEG of ", width, "×", height, " pixels is whole, with a warning: ", messages.text));
  return rewritten(bytes);
}

// Checks a PNG, likewise: every chunk of pixels must be there and whole. Other chunks (names with a small first letter)
// are dropped if they are damaged, and a missing end chunk is added. libpng itself checks that all rows are there.
std::string check_png(std::string_view bytes, std::uint64_t& pixels) {
  if (bytes.size() < 33 || bytes.substr(12, 4) != "IHDR") refuse("truncated PNG: no header");
  pixels = checked_size(big_endian(bytes, 16), big_endian(bytes, 20));
  std::string kept(bytes.substr(0, 8));
  bool has_pixels = false;
  for (std::size_t at = 8; bytes.size() - at >= 12;) {
    const std::size_t length = big_endian(bytes, at);
    std::string name(bytes.substr(at + 4, 4));
    const bool end = name == "IEND", ancillary = std::islower(static_cast<unsigned char>(name[0])) != 0;
    has_pixels = has_pixels || name == "IDAT";
    for (auto& c : name) c = std::isalpha(static_cast<unsigned char>(c)) ? c : '?';  // it goes into messages
    if (length > bytes.size() - at - 12) {
      if (ancillary && has_pixels) break;
      refuse(concat("truncated PNG: chunk ", name, " is cut short"));
    }
    const bool right = checksum(bytes.substr(at + 4, length + 4)) == big_endian(bytes, at + 8 + length);
    if (!right && !ancillary) refuse(concat("damaged PNG: chunk ", name, " has a wrong checksum"));
    if (right)
      kept += bytes.substr(at, 12 + length);
    else
      log_debug(concat("a PNG's chunk ", name, " has a wrong checksum and is passed over"));
    at += 12 + length;
    if (end) return kept.size() == at ? "" : kept;
  }
  if (!has_pixels) refuse("truncated PNG: no pixels");
  log_debug("a PNG's end chunk is missing");
  return kept + std::string("\0\0\0\0IEND\xae\x42\x60\x82", 12);
}

std::string check_bmp(std::string_view bytes, std::uint64_t& pixels) {
  if (bytes.size() < 26) refuse("truncated BMP: no header");
  std::int32_t width = 0, height = 0;
  std::uint32_t start = 0, compression = 0;
  std::uint16_t bits = 0;
  std::memcpy(&start, bytes.data() + 10, 4);
  std::memcpy(&width, bytes.data() + 18, 4);
  std::memcpy(&height, bytes.data() + 22, 4);
  const auto columns = static_cast<std::uint64_t>(std::abs(static_cast<std::int64_t>(width))),
             rows = static_cast<std::uint64_t>(std::abs(static_cast<std::int64_t>(height)));
  pixels = checked_size(columns, rows);
  if (bytes.size() < 34) refuse("truncated BMP: no header");
  std::memcpy(&bits, bytes.data() + 28, 2);
  std::memcpy(&compression, bytes.data() + 30, 4);
  // The file's size in the header is often wrong; OpenCV checks compressed rows.
  if (compression == 0 && start + (columns * bits + 31) / 32 * 4 * rows > bytes.size()) refuse("truncated BMP");
  return "";
}

std::string check(std::string_view bytes, std::uint64_t& pixels) {
  if (bytes.size() > max_bytes) refuse(concat(bytes.size(), " bytes; at most 64 MB are decoded"));
  if (bytes.empty()) refuse("an empty file");
  const auto format = picture_format(bytes.substr(0, 64));
  if (format == "JPEG") return check_jpeg(bytes, pixels);
  if (format == "PNG") return check_png(bytes, pixels);
  if (bytes.starts_with("BM")) return check_bmp(bytes, pixels);
  if (bytes.starts_with("<")) refuse("an HTML or XML page, not a picture");
  if (!format.empty()) refuse(concat("a picture in ", format, ", which is not read: convert it to JPEG or PNG"));
  refuse("not a JPEG, PNG or BMP picture");
}

// The PNG's first chunk of that name, from its length to its checksum, or "".
std::string_view chunk_of(std::string_view png, std::string_view name) {
  for (std::size_t at = 8; at + 12 <= png.size(); at += 12 + big_endian(png, at))
    if (png.substr(at + 4, 4) == name) return png.substr(at, 12 + big_endian(png, at));
  return {};
}

// 32-bit pixels alone do not make a BMP transparent: mostly the fourth byte means nothing. A mask gives it a meaning.
bool has_alpha_mask(std::string_view bmp) {
  std::uint32_t header = 0, compression = 0, mask = 0;
  if (bmp.size() < 70) return false;
  std::memcpy(&header, bmp.data() + 14, 4);
  std::memcpy(&compression, bmp.data() + 30, 4);
  std::memcpy(&mask, bmp.data() + 66, 4);
  constexpr std::uint32_t by_masks = 3;
  return bmp[28] == 32 && compression == by_masks && header >= 56 && mask != 0;
}

bool is_transparent(std::string_view bytes) {
  if (bytes.starts_with("BM")) return has_alpha_mask(bytes);
  if (!bytes.starts_with("\x89PNG")) return false;
  constexpr int grey_with_alpha = 4, colour_with_alpha = 6;
  return bytes[25] == grey_with_alpha || bytes[25] == colour_with_alpha || !chunk_of(bytes, "tRNS").empty();
}

cv::Mat decoded(std::string_view bytes, int how) {
  return cv::imdecode(cv::Mat(1, static_cast<int>(bytes.size()), CV_8U, const_cast<char*>(bytes.data())), how);
}

// The alpha of each pixel of a transparent picture, 0 to 255; empty if it cannot be decoded.
cv::Mat opacity_of(std::string_view bytes) {
  const cv::Mat whole = decoded(bytes, cv::IMREAD_UNCHANGED);
  cv::Mat opacity;
  if (whole.channels() == 4) {
    cv::extractChannel(whole, opacity, 3);
    if (opacity.depth() == CV_16U) opacity.convertTo(opacity, CV_8U, 1.0 / 257);
  } else if (whole.channels() == 1 && !whole.empty()) {  // one grey level of a PNG is transparent
    const int bits = bytes[24], key = static_cast<int>(big_endian(chunk_of(bytes, "tRNS"), 8) >> 16);
    opacity = whole != (bits < 8 ? key * 255 / ((1 << bits) - 1) : key);
  }
  return opacity;
}

// Lays a picture with an alpha channel on white: BGR.
cv::Mat flattened(std::string_view bytes, Exif exif) {
  cv::Mat pixels = decoded(bytes, cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION);
  const cv::Mat opacity = opacity_of(bytes);
  if (pixels.empty() || opacity.size() != pixels.size()) return {};
  for (int y = 0; y < pixels.rows; ++y)
    for (int x = 0; x < pixels.cols; ++x)
      for (auto& value : pixels.at<cv::Vec3b>(y, x).val) {
        const int share = opacity.at<std::uint8_t>(y, x);
        value = static_cast<std::uint8_t>((value * share + 255 * (255 - share) + 127) / 255);
      }
  const auto turn = chunk_of(bytes, "eXIf");
  if (exif == Exif::ignore || turn.empty()) return pixels;
  std::vector<unsigned char> png;  // OpenCV turns while it decodes: again, without transparency
  cv::imencode(".png", pixels, png);
  constexpr int end_of_header = 33;
  png.insert(png.begin() + end_of_header, turn.begin(), turn.end());
  return decoded({reinterpret_cast<const char*>(png.data()), png.size()}, cv::IMREAD_COLOR);
}

std::string encode(const Image& image, const char* ending, const std::vector<int>& settings) {
  cv::Mat bgr;
  cv::cvtColor(matrix(image), bgr, cv::COLOR_RGB2BGR);
  std::vector<unsigned char> bytes;
  if (!cv::imencode(ending, bgr, bytes, settings))
    throw Error(Exit::failure, concat("a picture could not be encoded as ", ending));
  return {bytes.begin(), bytes.end()};
}

// The format of a file in ISO's container of pictures, by the brands that it names.
std::string format_of_brands(std::string_view brands) {
  const auto has = [&](std::initializer_list<std::string_view> names) {
    return std::any_of(names.begin(), names.end(), [&](auto name) { return brands.find(name) != brands.npos; });
  };
  if (has({"avif", "avis"})) return "AVIF";
  return has({"heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"}) ? "HEIC" : "";
}

}  // namespace

std::string picture_format(std::string_view start) {
  using namespace std::string_view_literals;
  const auto at = [&](std::size_t i) { return i < start.size() ? static_cast<unsigned char>(start[i]) : 0; };
  const auto has = [&](std::size_t i, std::string_view part) {
    return start.size() >= i && start.substr(i).starts_with(part);
  };
  if (has(0, "\xff\xd8\xff")) return "JPEG";
  if (has(0, "\x89PNG\r\n\x1a\n")) return "PNG";
  if (has(0, "BM") && at(14) >= 12 && at(14) <= 124 && has(15, "\0\0\0"sv)) return "BMP";  // a header of that length
  if (has(0, "GIF87a") || has(0, "GIF89a")) return "GIF";
  if (has(0, "RIFF") && has(8, "WEBP")) return "WebP";
  if (has(0, "II*\0"sv) || has(0, "MM\0*"sv)) return "TIFF";
  if (has(4, "jP  \r\n\x87\n") || has(0, "\xff\x4f\xff\x51")) return "JPEG 2000";
  if (has(4, "JXL \r\n\x87\n")) return "JPEG XL";
  if (has(0, "8BPS\0\1"sv)) return "PSD";
  if (at(0) == 'P' && at(1) >= '1' && at(1) <= '6' && std::isspace(at(2)) && (std::isdigit(at(3)) || at(3) == '#'))
    return "PNM";
  return has(4, "ftyp") ? format_of_brands(start.substr(8)) : "";
}

Image decode_image(std::string_view bytes, Exif exif) {
  std::uint64_t size = 0;  // in pixels
  const std::string repaired = check(bytes, size);
  if (!repaired.empty()) bytes = repaired;
  try {
    cv::Mat pixels =
        is_transparent(bytes)
            ? flattened(bytes, exif)
            : decoded(bytes, cv::IMREAD_COLOR | (exif == Exif::ignore ? cv::IMREAD_IGNORE_ORIENTATION : 0));
    if (pixels.empty()) {
      require_room(size);
      refuse(repaired.empty() ? "cannot be decoded" : "truncated or damaged: cannot be decoded");
    }
    cv::cvtColor(pixels, pixels, cv::COLOR_BGR2RGB);
    return image_of(pixels);
  } catch (const cv::Exception& error) {
    if (error.code == cv::Error::StsNoMem) throw std::bad_alloc();  // nothing is wrong with the picture
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
    // Pixel x of the half picture covers 2x and 2x+1, with the middle 2x + 0.5.
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
