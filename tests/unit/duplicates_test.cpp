// From which likeness on two photos are one, with a face found in them and without.
#include "data/duplicates.hpp"

#include <cmath>

#include "support/support.hpp"

namespace facepoison::testing {
namespace {

// 256 grey levels whose correlation to those of angle 0 is the angle's cosine.
Thumbnail wave(double angle) {
  Thumbnail grey;
  for (int i = 0; i < 256; ++i)
    grey.push_back(static_cast<std::uint8_t>(std::lround(128 + 120 * std::cos(6.283185307179586 * i / 256 - angle))));
  return grey;
}

// Is a photo whose picture correlates by so much with an earlier one taken for it?
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

}  // namespace
}  // namespace facepoison::testing
