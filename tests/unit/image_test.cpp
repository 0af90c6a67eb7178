// Pictures: damaged ones are refused with a reason, odd ones become 8-bit RGB, and warping does not alias.
#include "facepoison/image.hpp"

#include <malloc.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include <sys/resource.h>

#include <opencv2/imgcodecs.hpp>

#include "support/support.hpp"

namespace facepoison {
namespace {

using namespace testing;

std::string encoded(const std::string& extension, const cv::Mat& pixels) {
  std::vector<unsigned char> bytes;
  cv::imencode(extension, pixels, bytes);
  return {bytes.begin(), bytes.end()};
}

cv::Mat bgr_photo(int side = 64) {
  const Image photo = draw_photo(1, 2, side);
  cv::Mat out(side, side, CV_8UC3);
  for (std::size_t i = 0; i < photo.rgb.size(); ++i) out.data[i] = photo.rgb[i / 3 * 3 + 2 - i % 3];
  return out;
}

void expect_refused(std::string_view bytes, const std::vector<std::string>& parts, const std::string& what) {
  const auto [code, message] = caught([&] { decode_image(bytes, Exif::rotate); });
  EXPECT_EQ(code, Exit::input) << what;
  EXPECT_FALSE(message.empty()) << what;
  for (const auto& part : parts)
    EXPECT_TRUE(contains(message, part)) << what << ": no '" << part << "' in: " << message;
}

std::array<int, 3> pixel(const Image& image, int x, int y) {
  const auto at = static_cast<std::size_t>((y * image.width + x) * 3);
  return {image.rgb.at(at), image.rgb.at(at + 1), image.rgb.at(at + 2)};
}
using Rgb = std::array<int, 3>;

std::uint32_t png_crc(const std::string& bytes) {
  std::uint32_t crc = ~0u;
  for (const unsigned char c : bytes) {
    crc ^= c;
    for (int k = 0; k < 8; ++k) crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
  }
  return ~crc;
}

void put16(std::string& bytes, std::size_t at, int value) {
  bytes[at] = static_cast<char>(value >> 8);
  bytes[at + 1] = static_cast<char>(value & 255);
}

TEST(DecodeImage, RefusesATruncatedPicture) {
  for (const char* extension : {".jpg", ".png", ".bmp"}) {
    const auto bytes = encoded(extension, bgr_photo());
    ASSERT_NO_THROW(decode_image(bytes, Exif::rotate)) << extension;
    for (std::size_t tenth = 1; tenth < 10; ++tenth)
      expect_refused(bytes.substr(0, bytes.size() * tenth / 10),
                     tenth < 5 ? std::vector<std::string>{} : std::vector<std::string>{"truncated"},
                     concat(extension, " at ", tenth, "/10"));
    const bool has_end_marker = extension != std::string(".bmp");  // without it all rows are there
    if (!has_end_marker) expect_refused(bytes.substr(0, bytes.size() - 2), {}, "BMP without its last two bytes");
    expect_refused(bytes.substr(0, 10), {}, concat(extension, " of ten bytes"));
  }
}

// With restart markers, and in scans of rising quality.
std::string encoded_jpeg(bool progressive, int restarts = 0) {
  std::vector<unsigned char> bytes;
  cv::imencode(".jpg", bgr_photo(), bytes,
               {cv::IMWRITE_JPEG_PROGRESSIVE, progressive, cv::IMWRITE_JPEG_RST_INTERVAL, restarts});
  return {bytes.begin(), bytes.end()};
}

// libjpeg only warns about these, and no pixel is lost.
TEST(DecodeImage, TakesAJpegThatDecodesWholly) {
  const std::string plain = encoded_jpeg(false), restarts = encoded_jpeg(false, 2), progressive = encoded_jpeg(true);
  const auto pixels = [](const std::string& bytes) { return decode_image(bytes, Exif::rotate).rgb; };
  const auto after = [](std::string bytes, const std::string& marker, std::size_t skip, const std::string& more) {
    return bytes.insert(bytes.find(marker) + skip, more);
  };
  auto parameters = plain, revision = plain;
  parameters[plain.find("\xff\xda") + 12] = 0;  // the last coefficient, as phones write it
  revision[plain.find("JFIF") + 5] = 2;
  const std::string stray("\0", 1), end = "\xff\xd9";
  for (const auto& [bytes, what] :
       {std::pair{plain.substr(0, plain.size() - 2), "no end marker"}, std::pair{plain + "trailing", "a trailer"},
        std::pair{after(plain, "\xff\xdb", 0, stray), "a stray byte"},
        std::pair{after(plain, end, 0, stray + stray), "stray bytes before the end"},
        std::pair{parameters, "a scan's parameters"}, std::pair{revision, "JFIF 2"}})
    EXPECT_EQ(pixels(bytes), pixels(plain)) << what;
  EXPECT_EQ(pixels(after(restarts, "\xff\xd3", 0, stray)), pixels(restarts));
  EXPECT_EQ(pixels(progressive.substr(0, progressive.size() - 2)), pixels(progressive));
  const Image turned = decode_image(with_exif_turn(parameters), Exif::rotate);
  EXPECT_EQ(turned.rgb, decode_image(with_exif_turn(plain), Exif::rotate).rgb) << "EXIF is kept";
}

// A JPEG of three colours, each with its own scans, from a grey picture. Only the scans of the first `colours` are
// present, and `between` comes before those of the second.
std::string scans_apart(bool progressive, int colours, const std::string& between = "") {
  std::vector<unsigned char> bytes;
  cv::imencode(".jpg", cv::Mat(64, 64, CV_8UC1, cv::Scalar(90)), bytes, {cv::IMWRITE_JPEG_PROGRESSIVE, progressive});
  std::string jpeg(bytes.begin(), bytes.end());
  const auto frame = jpeg.find(progressive ? "\xff\xc2" : "\xff\xc0"), first_scan = frame + 13;
  const std::string scans = jpeg.substr(first_scan, jpeg.size() - 2 - first_scan);
  jpeg.resize(first_scan);
  jpeg[frame + 3] = 17, jpeg[frame + 9] = 3;  // the segment's length, and three components for the one
  for (const char id : {2, 3}) jpeg += {id, jpeg[frame + 11], '\0'};
  for (int id = 1; id <= colours; ++id) {
    if (id == 2) jpeg += between;
    const auto start = jpeg.size();
    jpeg += scans;
    for (auto at = jpeg.find("\xff\xda", start); at != jpeg.npos; at = jpeg.find("\xff\xda", at + 1))
      jpeg[at + 5] = static_cast<char>(id);
  }
  return jpeg + "\xff\xd9";
}

// libjpeg does not warn: the colour is flat.
TEST(DecodeImage, RefusesAJpegThatHasNoScanOfAColour) {
  for (const bool progressive : {false, true}) {
    for (const int colours : {1, 2})
      expect_refused(scans_apart(progressive, colours), {"truncated", "one of its colours has no scan"},
                     concat(colours, " of 3 colours", progressive ? ", progressive" : ""));
    const auto [red, green, blue] = pixel(decode_image(scans_apart(progressive, 3), Exif::rotate), 5, 5);
    EXPECT_LT(std::max(red, blue) + 50, green) << "all three";
  }
}

// The stray byte makes the reader write the picture again. libjpeg cannot if a table changed between scans, and each
// such picture, a fuzzer's find, leaked 4 KB of memory.
TEST(DecodeImage, KeepsNothingOfAJpegThatCannotBeRewritten) {
  const std::string plain = scans_apart(false, 3);
  std::string table = plain.substr(plain.find("\xff\xdb"), 2 + 67);
  table.back() ^= 1;
  std::string odd = scans_apart(false, 3, table);
  odd.insert(odd.find("\xff\xc0"), 1, '\0');
  EXPECT_EQ(decode_image(odd, Exif::rotate).rgb, decode_image(plain, Exif::rotate).rgb);
  const auto before = mallinfo2().uordblks;
  for (int k = 0; k < 100; ++k) decode_image(odd, Exif::rotate);
  EXPECT_LT(mallinfo2().uordblks, before + 100'000);
}

TEST(DecodeImage, RefusesAJpegThatLacksRowsOrScans) {
  using Strings = std::vector<std::string>;
  const std::string end = "\xff\xd9";
  for (const bool progressive : {false, true}) {
    const auto whole = encoded_jpeg(progressive, progressive ? 0 : 2);
    const auto first_scan = whole.find("\xff\xda");
    for (auto cut = first_scan + 20; cut < whole.size() - 12; cut += 7)
      for (const auto& tail : progressive ? Strings{""} : Strings{"", end, "\xff\xd0" + end})
        expect_refused(whole.substr(0, cut) + tail, {"truncated"}, concat("cut at ", cut, " of ", whole.size()));
  }
  const auto progressive = encoded_jpeg(true);
  const auto last_scan = progressive.rfind("\xff\xda");
  expect_refused(progressive.substr(0, last_scan), {"truncated"}, "between two scans");
}

TEST(DecodeImage, TakesAPngWithoutItsEndOrWithADamagedNote) {
  const auto plain = encoded(".png", bgr_photo());
  const auto pixels = [](const std::string& bytes) { return decode_image(bytes, Exif::rotate).rgb; };
  const std::string note("\0\0\0\3tEXta\0bWRNG", 15);
  EXPECT_EQ(pixels(std::string(plain).insert(33, note)), pixels(plain));
  for (const std::size_t lost : {1, 2, 11, 12})
    EXPECT_EQ(pixels(plain.substr(0, plain.size() - lost)), pixels(plain)) << lost << " bytes lost";
  const auto end = plain.size() - 12;
  EXPECT_EQ(pixels(plain.substr(0, end) + note.substr(0, 14)), pixels(plain)) << "a note after the pixels, cut short";
  expect_refused(plain.substr(0, plain.size() - 13), {"truncated"}, "a byte of the pixels' chunk");
  std::string half = plain.substr(0, 33);  // the pixels in two chunks, of which the second is missing
  const auto data = plain.find("IDAT");
  const std::string part = plain.substr(data, 4 + 100);
  half += std::string("\0\0\0\144", 4) + part;
  for (const std::uint32_t crc = png_crc(part); const int shift : {24, 16, 8, 0})
    half += static_cast<char>(crc >> shift);
  expect_refused(half, {"truncated"}, "half of the pixels");
}

TEST(DecodeImage, TakesABmpWhoseHeaderIsWrongAboutItsSize) {
  auto bytes = encoded(".bmp", bgr_photo());
  const auto before = decode_image(bytes, Exif::rotate).rgb;
  for (const std::size_t i : {2, 3, 4, 5}) bytes[i] = 0x7f;
  EXPECT_EQ(decode_image(bytes, Exif::rotate).rgb, before);
}

TEST(DecodeImage, RefusesAPngWithAnyByteFlipped) {
  const auto whole = encoded(".png", bgr_photo(12));
  for (std::size_t i = 0; i < whole.size(); ++i) {
    auto bytes = whole;
    bytes[i] = static_cast<char>(~bytes[i]);
    expect_refused(bytes, {}, concat("byte ", i));
  }
  auto bytes = whole;
  bytes[whole.find("IDAT") + 20] ^= 1;
  expect_refused(bytes, {"IDAT", "checksum"}, "a bit of the pixels");
}

TEST(DecodeImage, GivesReasonsInPlainText) {  // they go into JSON and CSV, whatever the file holds
  auto bytes = encoded(".png", bgr_photo(12));
  bytes[37] = static_cast<char>(0xff);  // in the name of the second chunk
  const auto message = caught([&] { decode_image(bytes, Exif::rotate); }).message;
  EXPECT_TRUE(Json::accept("\"" + message + "\"")) << message;
}

TEST(DecodeImage, RefusesWhatIsNoPicture) {
  expect_refused("", {"empty"}, "nothing");
  expect_refused("<!DOCTYPE html><html>404</html>", {"HTML"}, "a page");
  expect_refused("just text", {"not a JPEG, PNG or BMP"}, "text");
  expect_refused("RIFF....WEBPVP8 ", {"WebP", "convert it to JPEG or PNG"}, "WebP");
  expect_refused("BM and so on", {"BMP"}, "text that begins like a BMP");
  expect_refused(std::string((std::size_t{64} << 20) + 1, 'x'), {"64 MB"}, "a large file");
}

TEST(PictureFormat, IsKnownByTheFirstBytes) {
  const auto box = [](const std::string& brands) { return std::string("\0\0\0\x1c", 4) + "ftyp" + brands; };
  const std::string zero(1, '\0');
  for (const auto& [start, format] :
       {std::pair{encoded(".jpg", bgr_photo()), "JPEG"}, std::pair{encoded(".png", bgr_photo()), "PNG"},
        std::pair{encoded(".bmp", bgr_photo()), "BMP"}, std::pair{"GIF89a" + zero, "GIF"},
        std::pair{std::string("RIFF....WEBPVP8 "), "WebP"}, std::pair{"II*" + zero, "TIFF"},
        std::pair{"MM" + zero + "*", "TIFF"}, std::pair{box("heic"), "HEIC"},
        std::pair{box("mif1....mif1heic"), "HEIC"}, std::pair{box("avif"), "AVIF"},
        std::pair{box("mif1....avifmif1"), "AVIF"}, std::pair{std::string("P5\n2 2\n255\n"), "PNM"},
        std::pair{std::string("P6\n# by hand\n"), "PNM"}}) {
    EXPECT_EQ(picture_format(start.substr(0, 64)), format);
    if (contains("JPEG PNG BMP", format)) continue;
    expect_refused(start, {format, "convert it"}, format);
  }
  for (const auto& start : {std::string(), std::string("B"), std::string("BM and so on, at some length, of course"),
                            std::string("P5, page 3"), std::string("text"), box("mp42"), box("qt  "), box("")})
    EXPECT_EQ(picture_format(start), "") << start;
}

TEST(DecodeImage, RefusesAHugePictureBeforeItTakesMemory) {
  auto png = encoded(".png", bgr_photo(16)), jpeg = encoded(".jpg", bgr_photo(16)),
       bmp = encoded(".bmp", bgr_photo(16));
  put16(png, 18, 30000), put16(png, 22, 30000);
  const auto frame = jpeg.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  put16(jpeg, frame + 5, 30000), put16(jpeg, frame + 7, 30000);
  for (const std::size_t at : {18, 22}) bmp[at] = 0x30, bmp[at + 1] = 0x75;
  rusage before{}, after{};
  getrusage(RUSAGE_SELF, &before);
  for (const auto& bytes : {png, jpeg, bmp}) expect_refused(bytes, {"30000×30000"}, "a bomb");
  getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 100 * 1024) << "kB";
}

TEST(DecodeImage, TurnsEveryKindIntoRgb) {
  const auto colour = decode_image(encoded(".png", cv::Mat(3, 4, CV_8UC3, cv::Scalar(10, 20, 30))), Exif::rotate);
  EXPECT_EQ(colour.width, 4);
  EXPECT_EQ(colour.height, 3);
  EXPECT_EQ(pixel(colour, 3, 2), (Rgb{30, 20, 10}));
  EXPECT_EQ(pixel(decode_image(encoded(".bmp", cv::Mat(3, 5, CV_8UC3, cv::Scalar(10, 20, 30))), Exif::rotate), 4, 2),
            (Rgb{30, 20, 10}));
  for (const char* extension : {".png", ".jpg"})
    EXPECT_EQ(pixel(decode_image(encoded(extension, cv::Mat(8, 8, CV_8U, cv::Scalar(77))), Exif::rotate), 2, 1),
              (Rgb{77, 77, 77}));
  const cv::Mat deep(2, 2, CV_16UC3, cv::Scalar(10 * 257, 20 * 257, 30 * 257));
  EXPECT_EQ(pixel(decode_image(encoded(".png", deep), Exif::rotate), 0, 1), (Rgb{30, 20, 10}));
}

// A PNG of these rows' bytes: each begins with its filter, 0.
std::string png_of(int width, int height, int bits, int kind, const std::string& rows, const std::string& more) {
  const auto number = [](std::uint32_t value) {
    return std::string{static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
                       static_cast<char>(value)};
  };
  std::uint32_t a = 1, b = 0;  // Adler-32
  for (const unsigned char c : rows) a = (a + c) % 65521, b = (b + a) % 65521;
  const auto size = static_cast<std::uint16_t>(rows.size()), other = static_cast<std::uint16_t>(~size);
  const std::string stored = std::string{'\x78', '\x01', '\x01'} + static_cast<char>(size & 255) +
                             static_cast<char>(size >> 8) + static_cast<char>(other & 255) +
                             static_cast<char>(other >> 8) + rows + number(b << 16 | a);
  const auto chunk = [&](const std::string& name, const std::string& data) {
    return number(static_cast<std::uint32_t>(data.size())) + name + data + number(png_crc(name + data));
  };
  const std::string header = number(static_cast<std::uint32_t>(width)) + number(static_cast<std::uint32_t>(height)) +
                             static_cast<char>(bits) + static_cast<char>(kind) + std::string(3, '\0');
  const auto body = more.empty() ? "" : chunk(more.substr(0, 4), more.substr(4));
  const auto palette = kind == 3 ? chunk("PLTE", std::string("\x0a\x14\x1e\x28\x32\x3c", 6)) : "";
  return "\x89PNG\r\n\x1a\n" + chunk("IHDR", header) + palette + body + chunk("IDAT", stored) + chunk("IEND", "");
}

TEST(DecodeImage, ShowsWhiteThroughWhatIsTransparent) {
  const auto decode = [](const std::string& bytes) { return decode_image(bytes, Exif::rotate); };
  for (const auto& [share, shown] :
       {std::pair{0, Rgb{255, 255, 255}}, std::pair{255, Rgb{30, 20, 10}}, std::pair{51, Rgb{210, 208, 206}}}) {
    EXPECT_EQ(pixel(decode(encoded(".png", cv::Mat(2, 2, CV_8UC4, cv::Scalar(10, 20, 30, share)))), 1, 1), shown);
    const cv::Scalar deep(10 * 257, 20 * 257, 30 * 257, share * 257);
    EXPECT_EQ(pixel(decode(encoded(".png", cv::Mat(2, 2, CV_16UC4, deep))), 1, 1), shown);
  }
  using namespace std::string_literals;
  const Rgb white = {255, 255, 255};
  const auto palette = decode(png_of(2, 1, 8, 3, "\0\0\1"s, "tRNS\xff\0"s));
  EXPECT_EQ(pixel(palette, 0, 0), (Rgb{10, 20, 30}));
  EXPECT_EQ(pixel(palette, 1, 0), white);
  const auto colour = decode(png_of(2, 1, 8, 2, "\0\1\2\3\4\5\6"s, "tRNS\0\4\0\5\0\6"s));
  EXPECT_EQ(pixel(colour, 0, 0), (Rgb{1, 2, 3}));
  EXPECT_EQ(pixel(colour, 1, 0), white);
  const auto grey = decode(png_of(2, 1, 8, 0, "\0\7\x08"s, "tRNS\0\x08"s));
  EXPECT_EQ(pixel(grey, 0, 0), (Rgb{7, 7, 7}));
  EXPECT_EQ(pixel(grey, 1, 0), white);
  const auto two_bits = decode(png_of(4, 1, 2, 0, "\0\x1b"s, "tRNS\0\2"s));  // 0, 1, 2, 3
  EXPECT_EQ(pixel(two_bits, 1, 0), (Rgb{85, 85, 85}));
  EXPECT_EQ(pixel(two_bits, 2, 0), white);
  const auto with_grey = decode(png_of(2, 1, 8, 4, "\0\7\xff\7\0"s, ""));  // levels, each with its opacity
  EXPECT_EQ(pixel(with_grey, 0, 0), (Rgb{7, 7, 7}));
  EXPECT_EQ(pixel(with_grey, 1, 0), white);
}

TEST(DecodeImage, TurnsATransparentPictureByItsExif) {
  const auto bytes = encoded(".png", cv::Mat(2, 3, CV_8UC4, cv::Scalar(10, 20, 30, 0)));
  const std::string turn(
      "\0\0\0\x1a"
      "eXIfMM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0",
      34);
  const auto crc = png_crc(turn.substr(4));
  std::string turned = bytes.substr(0, 33) + turn;
  for (const int shift : {24, 16, 8, 0}) turned += static_cast<char>(crc >> shift);
  turned += bytes.substr(33);
  const Image upright = decode_image(turned, Exif::rotate), lying = decode_image(turned, Exif::ignore);
  EXPECT_EQ((std::pair{upright.width, upright.height}), (std::pair{2, 3}));
  EXPECT_EQ((std::pair{lying.width, lying.height}), (std::pair{3, 2}));
  EXPECT_EQ(pixel(upright, 1, 2), (Rgb{255, 255, 255}));
}

// 32 bits, with masks where `alpha` is one.
std::string bmp_of(std::uint32_t alpha, std::uint32_t pixel) {
  const std::uint32_t size = alpha ? 56 : 40;
  std::string bytes = "BM";
  const auto put = [&](std::uint32_t value, int count) {
    for (int i = 0; i < count; ++i) bytes += static_cast<char>(value >> 8 * i);
  };
  put(14 + size + 4, 4), put(0, 4), put(14 + size, 4);
  put(size, 4), put(1, 4), put(1, 4), put(1, 2), put(32, 2), put(alpha ? 3 : 0, 4), put(4, 4);
  for (int i = 0; i < 4; ++i) put(0, 4);
  if (alpha) put(0xff0000, 4), put(0xff00, 4), put(0xff, 4), put(alpha, 4);
  put(pixel, 4);
  return bytes;
}

TEST(DecodeImage, TakesABmpForTransparentWhereAMaskSaysSo) {
  const auto colour = [](const std::string& bytes) { return pixel(decode_image(bytes, Exif::rotate), 0, 0); };
  EXPECT_EQ(colour(bmp_of(0xff000000, 0x001e140a)), (Rgb{255, 255, 255}));
  EXPECT_EQ(colour(bmp_of(0xff000000, 0xff1e140a)), (Rgb{30, 20, 10}));
  EXPECT_EQ(colour(bmp_of(0, 0x001e140a)), (Rgb{30, 20, 10})) << "mostly the fourth byte means nothing";
}

// A JPEG, red left and blue right, that says it must be turned a quarter clockwise (orientation 6).
std::string turned_jpeg() {
  cv::Mat pixels(16, 32, CV_8UC3, cv::Scalar(0, 0, 255));
  pixels.colRange(16, 32) = cv::Scalar(255, 0, 0);
  return with_exif_turn(encoded(".jpg", pixels));
}

TEST(DecodeImage, TurnsByExifWhereAsked) {
  const Image turned = decode_image(turned_jpeg(), Exif::rotate), plain = decode_image(turned_jpeg(), Exif::ignore);
  ASSERT_EQ((std::pair{turned.width, turned.height}), (std::pair{16, 32}));
  ASSERT_EQ((std::pair{plain.width, plain.height}), (std::pair{32, 16}));
  EXPECT_GT(pixel(turned, 8, 4)[0], 200);  // red on top
  EXPECT_GT(pixel(turned, 8, 28)[2], 200);
  EXPECT_GT(pixel(plain, 4, 8)[0], 200);
  EXPECT_GT(pixel(plain, 28, 8)[2], 200);
}

TEST(EncodePng, RoundTripsEveryPixel) {
  const Image photo = draw_photo(3, 1, 37);
  const Image back = decode_image(encode_png(photo), Exif::rotate);
  EXPECT_EQ(back.width, 37);
  EXPECT_EQ(back.rgb, photo.rgb);
}

TEST(WarpImage, IsExactForTheIdentityAndAShift) {
  const Image photo = draw_photo(0, 0, 40);
  EXPECT_EQ(warp_image(photo, {}, 40).rgb, photo.rgb);
  const Image shifted = warp_image(photo, {1, 0, 3, -5}, 40);
  EXPECT_EQ(pixel(shifted, 3 + 10, 20 - 5), pixel(photo, 10, 20));
  EXPECT_EQ(pixel(shifted, 2, 20), (Rgb{0, 0, 0}));  // black outside
  EXPECT_EQ(pixel(shifted, 20, 36), (Rgb{0, 0, 0}));
}

Image checkerboard(int side, int cell) {
  Image image{side, side, {}};
  for (int i = 0; i < side * side; ++i)
    image.rgb.insert(image.rgb.end(), 3, (i % side / cell + i / side / cell) % 2 ? 255 : 0);
  return image;
}

TEST(WarpImage, DoesNotAliasACheckerboard) {
  for (const auto& [cell, shrink] : {std::pair{1, 4.0}, std::pair{2, 5.0}}) {
    const Image small = warp_image(checkerboard(256, cell), {1 / shrink, 0, 0, 0}, 48);
    for (int y = 4; y < 44; ++y)
      for (int x = 4; x < 44; ++x)
        ASSERT_NEAR(pixel(small, x, y)[0], 127.5, 3) << x << ", " << y << " of cells of " << cell;
  }
}

TEST(WarpImage, KeepsPlacesWhenItShrinks) {
  Image ramp{128, 128, {}};  // red is 2x, green is 2y, so that no halving has to round
  for (int i = 0; i < 128 * 128; ++i)
    ramp.rgb.insert(ramp.rgb.end(),
                    {static_cast<std::uint8_t>(i % 128 * 2), static_cast<std::uint8_t>(i / 128 * 2), 0});
  const Similarity turned{0.15, 0.08, 20, 1};
  const Image small = warp_image(ramp, turned, 64);
  for (const Point source : {Point{30, 20}, Point{100, 50}, Point{64, 110}}) {
    const Point p = turned.apply(source);
    const auto x = static_cast<int>(std::lround(p.x)), y = static_cast<int>(std::lround(p.y));
    const Point exact = turned.inverse().apply({static_cast<double>(x), static_cast<double>(y)});
    EXPECT_NEAR(pixel(small, x, y)[0], 2 * exact.x, 0.8);
    EXPECT_NEAR(pixel(small, x, y)[1], 2 * exact.y, 0.8);
  }
}

TEST(ResizeImage, TakesTheMeanOfAnArea) {
  EXPECT_NEAR(pixel(resize_image(checkerboard(64, 1), 16, 16), 7, 7)[0], 127.5, 1);
  const Image wide = resize_image(draw_photo(0, 0, 20), 50, 30);
  EXPECT_EQ(wide.width, 50);
  EXPECT_EQ(wide.height, 30);
  EXPECT_EQ(wide.rgb.size(), 50u * 30 * 3);
}

// The exporters' tests compare it with PIL and OpenCV themselves, from a picture's file to the embedding.
TEST(ResampleImage, AntialiasesOrNot) {
  const Image fine = checkerboard(64, 1);  // finer than what is left of it
  const auto grey = [](const Image& image) {
    return std::all_of(image.rgb.begin(), image.rgb.end(), [](int value) { return std::abs(value - 127) <= 2; });
  };
  for (const auto interpolation : {Interpolation::bilinear, Interpolation::bicubic})
    EXPECT_TRUE(grey(resample_image(fine, 16, 16, interpolation, true)));
  const Image nearest = resample_image(fine, 16, 16, Interpolation::nearest, false);
  EXPECT_EQ(pixel(nearest, 3, 5), pixel(fine, 12, 20));
  EXPECT_FALSE(grey(nearest));
  const Image wide = resample_image(draw_photo(0, 0, 20), 50, 30, Interpolation::bicubic, false);
  EXPECT_EQ(std::tuple(wide.width, wide.height, wide.rgb.size()), std::tuple(50, 30, 50u * 30 * 3));
  EXPECT_EQ(resample_image(fine, 64, 64, Interpolation::bilinear, true).rgb, fine.rgb);
}

TEST(CropImage, IsBlackOutsideThePicture) {
  const Image photo = draw_photo(2, 0, 20), crop = crop_image(photo, -3, 15, 10, 8);
  EXPECT_EQ(pixel(crop, 3 + 4, 2), pixel(photo, 4, 17));
  EXPECT_EQ(pixel(crop, 2, 2), (Rgb{0, 0, 0}));
  EXPECT_EQ(pixel(crop, 5, 5), (Rgb{0, 0, 0}));
  const Image beside = crop_image(photo, 100, 100, 4, 4);
  EXPECT_EQ(beside.rgb, std::vector<std::uint8_t>(48, 0));
}

// 0: a picture, 1: a shortage, 2: something else.
int outcome_with(rlim_t megabytes, const std::string& bytes) {
  const pid_t child = start_process([&] {
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    const rlim_t most = pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + (megabytes << 20);
    const rlimit limit{most, most};
    setrlimit(RLIMIT_AS, &limit);
    try {
      decode_image(bytes, Exif::rotate);
    } catch (const std::bad_alloc&) {
      return 1;
    } catch (...) {
      return 2;
    }
    return 0;
  });
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}

TEST(DecodeImage, AShortageOfMemoryIsNothingWrongWithThePicture) {
#if defined(FACEPOISON_SANITIZED)
  GTEST_SKIP() << "the sanitiser's shadow needs the address space";
#endif
  const cv::Mat grey(4000, 6000, CV_8UC3, cv::Scalar::all(90));
  for (const int progressive : {0, 1}) {  // in libjpeg's own memory and in OpenCV's
    std::vector<unsigned char> encoded;
    cv::imencode(".jpg", grey, encoded, {cv::IMWRITE_JPEG_PROGRESSIVE, progressive});
    const std::string bytes(encoded.begin(), encoded.end());
    EXPECT_EQ(outcome_with(30, bytes), 1) << "72 MB of pixels";
    for (const rlim_t megabytes : {90, 130})  // the check has room, and OpenCV may have none
      EXPECT_NE(outcome_with(megabytes, bytes), 2) << megabytes;
  }
}

}  // namespace
}  // namespace facepoison
