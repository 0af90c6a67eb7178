// The similarity above which two photos count as one, with and without a detected face.
#include "data/duplicates.hpp"

#include <cmath>
#include <map>

#include "facepoison/random.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

// 256 grey levels; their correlation to those of angle 0 is the angle's cosine.
Thumbnail wave(double angle) {
  Thumbnail grey;
  for (int i = 0; i < 256; ++i)
    grey.push_back(static_cast<std::uint8_t>(std::lround(128 + 120 * std::cos(6.283185307179586 * i / 256 - angle))));
  return grey;
}

// Does a photo with this correlation to an earlier one count as that one?
bool is_one(double correlation, bool faces_found) {
  std::vector<Photo> photos(2);
  for (std::size_t i = 0; i < 2; ++i) {
    photos[i].id = concat("p/", i), photos[i].source_sha256 = concat(i);
    photos[i].source_width = photos[i].source_height = 100;
    if (faces_found) photos[i].source_landmarks = *template_landmarks("arcface-112", 100);
  }
  return find_originals(photos, {wave(0), wave(std::acos(correlation))})[1] == 0;
}

TEST(Duplicates, OfFacesFoundCorrelateLessThanThoseOfCrops) {
  for (const bool found : {true, false}) {
    EXPECT_TRUE(is_one(0.99, found)) << found;
    EXPECT_FALSE(is_one(0.97, found)) << found;
  }
  EXPECT_TRUE(is_one(0.983, true));
  EXPECT_FALSE(is_one(0.983, false)) << "aligned crops of two photos are that much alike";
}

// Copies of one photo at either end of a block of 512, and across it, are found; the first of them stays.
TEST(Duplicates, AreFoundBeyondOneBlock) {
  std::vector<Photo> photos(1100);
  std::vector<Thumbnail> thumbnails(photos.size());
  Stream stream(5, "thumbnails");
  for (std::size_t i = 0; i < photos.size(); ++i) {
    photos[i].id = concat("p/", 10000 + i), photos[i].source_sha256 = concat(i);
    for (int pixel = 0; pixel < 256; ++pixel) thumbnails[i].push_back(static_cast<std::uint8_t>(stream.below(256)));
  }
  const auto brighter = [&](std::size_t copy, std::size_t original) {
    for (std::size_t pixel = 0; pixel < 256; ++pixel)
      thumbnails[copy][pixel] = static_cast<std::uint8_t>(thumbnails[original][pixel] / 2 + 100);
  };
  for (const std::size_t copy : {511, 512, 1023, 1024, 1099}) brighter(copy, 0);
  brighter(600, 510), brighter(1050, 600);               // a copy of a copy repeats the first
  photos[1000].source_sha256 = photos[3].source_sha256;  // the same bytes, exactly
  const auto originals = find_originals(photos, thumbnails);
  std::map<std::size_t, std::size_t> found;
  for (std::size_t i = 0; i < originals.size(); ++i)
    if (originals[i] != i) found[i] = originals[i];
  EXPECT_EQ(found, (std::map<std::size_t, std::size_t>{
                       {511, 0}, {512, 0}, {600, 510}, {1000, 3}, {1023, 0}, {1024, 0}, {1050, 510}, {1099, 0}}));
}

}  // namespace
}  // namespace facepoison::testing
