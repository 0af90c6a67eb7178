// Contact sheets: every picture is where the row and column say.
#include "facepoison/sheet.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

Image plain(int side, std::uint8_t red, std::uint8_t green, std::uint8_t blue) {
  Image image{side, side, {}};
  for (int i = 0; i < side * side; ++i) image.rgb.insert(image.rgb.end(), {red, green, blue});
  return image;
}

std::array<int, 3> at(const Image& image, int x, int y) {
  const auto* pixel = &image.rgb[static_cast<std::size_t>(y * image.width + x) * 3];
  return {pixel[0], pixel[1], pixel[2]};
}

TEST(Sheet, PicturesStandInRowsOnWhite) {
  const Image sheet =
      contact_sheet({{{plain(8, 255, 0, 0), ""}, {plain(30, 0, 255, 0), ""}}, {{plain(8, 0, 0, 255), ""}}}, 20);
  EXPECT_EQ(sheet.width, 4 + 2 * 24);
  EXPECT_EQ(sheet.height, 4 + 2 * 24);
  EXPECT_EQ(at(sheet, 14, 14), (std::array<int, 3>{255, 0, 0}));
  EXPECT_EQ(at(sheet, 38, 14), (std::array<int, 3>{0, 255, 0}));
  EXPECT_EQ(at(sheet, 14, 38), (std::array<int, 3>{0, 0, 255}));
  EXPECT_EQ(at(sheet, 38, 38), (std::array<int, 3>{255, 255, 255})) << "the second row has one picture";
}

TEST(Sheet, ALabelIsDrawnAboveItsRowOnly) {
  const Image sheet = contact_sheet({{{plain(8, 255, 0, 0), "ann"}}, {{plain(8, 0, 0, 255), ""}}}, 40);
  EXPECT_EQ(sheet.height, 4 + 44 + 16 + 44);
  int dark = 0;
  for (int y = 0; y < 20; ++y)
    for (int x = 0; x < sheet.width; ++x) dark += at(sheet, x, y)[0] < 128;
  EXPECT_GT(dark, 10);
  EXPECT_EQ(at(sheet, 20, 20), (std::array<int, 3>{255, 0, 0}));
  EXPECT_EQ(at(sheet, 20, 64), (std::array<int, 3>{0, 0, 255}));
}

TEST(Sheet, AnAccentIsLeftOutOfALabel) {
  const auto labelled = [](const char* label) { return contact_sheet({{{plain(8, 255, 0, 0), label}}}, 80).rgb; };
  EXPECT_EQ(labelled("Jos\u00e9"), labelled("Jose"));
  EXPECT_EQ(labelled("\u9648"), labelled("?"));
}

TEST(Sheet, DifferencesAreEnlargedAroundGreyAndClipped) {
  const Image difference = difference_image(plain(4, 100, 100, 100), plain(4, 103, 99, 200), 8);
  EXPECT_EQ(at(difference, 1, 1), (std::array<int, 3>{152, 120, 255}));
}

TEST(Sheet, TheNameDecidesTheFormat) {
  const Image image = plain(8, 1, 2, 3);
  EXPECT_TRUE(encode_image(image, "a.png").starts_with("\x89PNG"));
  EXPECT_TRUE(encode_image(image, "folder.x/a.jpg").starts_with("\xff\xd8"));
  EXPECT_EQ(caught([&] { encode_image(image, "a.gif"); }).code, Exit::usage);
  EXPECT_EQ(caught([&] { encode_image({1, 65501, std::vector<std::uint8_t>(65501 * 3)}, "a.jpg"); }).code, Exit::usage);
}

}  // namespace
}  // namespace facepoison::testing
