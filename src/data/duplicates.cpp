// Two photos are near duplicates if their whole pictures agree (thumbnails of 16 × 16 grey levels correlate by at least
// .98, for any brightness and contrast) and the face lies at the same place in both (no landmark farther off than the
// face's own spread), so that two people in one picture are not.
//
// Measured on 720 photos of 12 people (FaceScrub) and on the 2,000 rendered ones, with faces detected in each copy:
// copies at JPEG quality 75, at half the size and 1.1 times as bright correlate by at least .9992, .9988 and .992, and
// their landmarks lie within .4 of an eye distance; different photos correlate by at most .953 (of one person; 2.3
// million pairs). The aligned canvas would be a worse measure: landmarks of a copy are found at slightly other places,
// so that copies correlate by .3 to 1 there, and different photos of one person by up to .99.
// Without face detection the pictures are crops, which are more alike: the limit is .985. Measured on the middles of
// the same photos' canvases, 112 pixels: copies at JPEG quality 50, at half the size and 1.1 times as bright have at
// least .9986, .9897 and .9927. Of the 720 real ones three pairs lie above, each one photograph, cropped or toned in
// two ways; the next, at .981, are two photographs. Of the 2,000 rendered ones, all different, three are mistaken for
// another of the same person.
// Not found: a photo with another crop, rotated or mirrored. Wrongly found: a burst in which nobody moved.
#include "data/duplicates.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "facepoison/interrupt.hpp"

namespace facepoison {
namespace {

constexpr int side = 16;
constexpr double least_correlation = 0.98, least_of_crops = 0.985;

// N×256: zero mean and length 1, or all zero for a picture of one colour, which resembles nothing.
torch::Tensor unit_rows(const std::vector<Photo>& photos, const std::vector<Thumbnail>& thumbnails) {
  auto rows = torch::empty({static_cast<std::int64_t>(photos.size()), side * side});
  for (std::size_t i = 0; i < photos.size(); ++i)
    std::copy(thumbnails[i].begin(), thumbnails[i].end(), rows.data_ptr<float>() + i * side * side);
  rows -= rows.mean(1, true);
  const auto length = rows.norm(2, 1, true);
  return rows / length.clamp_min(1) * (length >= side);  // such a length is a deviation of one grey level
}

double correlation(const float* a, const float* b) {
  double sum = 0;
  for (int i = 0; i < side * side; ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

bool at_one_place(const Photo& a, const Photo& b) {
  if (!a.source_landmarks || !b.source_landmarks) return !a.source_landmarks && !b.source_landmarks;
  const double x = static_cast<double>(a.source_width) / b.source_width;
  const double y = static_cast<double>(a.source_height) / b.source_height;
  Point middle;
  for (const auto& p : *a.source_landmarks) middle = {middle.x + p.x / 5, middle.y + p.y / 5};
  double spread = 0, farthest = 0;
  for (std::size_t i = 0; i < 5; ++i) {
    const Point p = (*a.source_landmarks)[i], q = (*b.source_landmarks)[i];
    spread += (std::pow(p.x - middle.x, 2) + std::pow(p.y - middle.y, 2)) / 5;
    farthest = std::max(farthest, std::hypot(p.x - q.x * x, p.y - q.y * y));
  }
  return farthest <= std::sqrt(spread);
}

}  // namespace

Thumbnail thumbnail_of(const Image& image) {
  const Image small = resize_image(image, side, side);
  Thumbnail grey(side * side);
  for (std::size_t i = 0; i < grey.size(); ++i) {
    const auto* rgb = &small.rgb[3 * i];
    grey[i] = static_cast<std::uint8_t>((299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2] + 500) / 1000);
  }
  return grey;
}

std::vector<std::size_t> find_originals(const std::vector<Photo>& photos, const std::vector<Thumbnail>& thumbnails) {
  constexpr std::int64_t block = 512;
  const auto rows = unit_rows(photos, thumbnails);
  const auto row_of = [&](std::size_t photo) { return rows.data_ptr<float>() + photo * side * side; };
  const auto repeats = [&](std::size_t photo, std::size_t other) {
    if (is_exact_duplicate(photos[photo], photos[other])) return true;
    const double least = photos[photo].source_landmarks ? least_correlation : least_of_crops;
    return correlation(row_of(photo), row_of(other)) >= least && at_one_place(photos[photo], photos[other]);
  };
  std::vector<std::size_t> originals(photos.size());
  std::vector<std::size_t> kept;  // only these are compared with, so that a thousand copies cost little
  auto kept_rows = torch::empty_like(rows);
  std::map<std::string, std::vector<std::size_t>> kept_by_bytes;
  for (std::int64_t start = 0; start < rows.size(0); start += block) {
    stop_if_interrupted();
    const auto some = rows.narrow(0, start, std::min(block, rows.size(0) - start));
    const auto before = static_cast<std::int64_t>(kept.size());
    // The last bit of a product depends on the machine: values near the bound are computed again, in double.
    const auto with = torch::cat({kept_rows.narrow(0, 0, before), some});
    const auto near = some.matmul(with.t()).ge(least_correlation - 1e-4).nonzero();
    const auto pairs = near.accessor<std::int64_t, 2>();
    for (std::int64_t row = 0, pair = 0; row < some.size(0); ++row) {
      const auto self = static_cast<std::size_t>(start + row);
      auto candidates = kept_by_bytes[photos[self].source_sha256];
      for (; pair < near.size(0) && pairs[pair][0] == row; ++pair) {
        const auto place = pairs[pair][1];
        candidates.push_back(place < before ? kept[static_cast<std::size_t>(place)]
                                            : static_cast<std::size_t>(start + place - before));
      }
      const auto found = std::find_if(candidates.begin(), candidates.end(), [&](std::size_t other) {
        return other < self && originals[other] == other && repeats(self, other);
      });
      originals[self] = found == candidates.end() ? self : *found;
      if (originals[self] != self) continue;
      kept_by_bytes[photos[self].source_sha256].push_back(self);
      kept_rows[static_cast<std::int64_t>(kept.size())].copy_(rows[static_cast<std::int64_t>(self)]);
      kept.push_back(self);
    }
  }
  return originals;
}

}  // namespace facepoison
