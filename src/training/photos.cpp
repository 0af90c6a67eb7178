#include "training/photos.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>

#include "facepoison/error.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/stages.hpp"

namespace facepoison {
namespace {

// A person's photos and twins, as FaceCure has them: one list, in which a twin is as good as a photo.
std::vector<std::int64_t> all_versions(const TrainingPhotos& known, const std::vector<std::int64_t>& photos) {
  std::vector<std::int64_t> rows;
  for (std::int64_t version = 0; version < known.versions; ++version)
    for (const auto photo : photos) rows.push_back(version * known.photos() + photo);
  return rows;
}

std::int64_t some_twin(const TrainingPhotos& known, std::int64_t photo, Stream& stream) {
  const auto twin = 1 + static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(known.versions - 1)));
  return twin * known.photos() + photo;
}

// `count` rows of one person; none twice while there are others.
std::vector<std::int64_t> rows_of_person(const TrainingConfig& c, const TrainingPhotos& known, std::int64_t person,
                                         Stream& stream) {
  auto photos = known.rows[static_cast<std::size_t>(person)];
  std::vector<std::int64_t> rows;
  if (c.pair > 0) {
    stream.shuffle(photos);
    for (std::size_t k = 0; k < c.photos_per_person / 2; ++k) {
      rows.push_back(photos[k % photos.size()]);
      rows.push_back(some_twin(known, rows.back(), stream));
    }
    return rows;
  }
  if (!c.twin_share) photos = all_versions(known, photos);
  stream.shuffle(photos);
  for (std::size_t k = 0; k < c.photos_per_person; ++k) {
    rows.push_back(photos[k % photos.size()]);
    if (c.twin_share && stream.uniform() < *c.twin_share) rows.back() = some_twin(known, rows.back(), stream);
  }
  return rows;
}

}  // namespace

Decoded::Decoded(std::span<const Photo> photos, const fs::path& folder) : file_(nameless_file(folder)) {
  std::vector<torch::Tensor> landmarks;
  constexpr std::size_t at_once = 64;
  for (std::size_t i = 0; i < photos.size(); i += at_once) {
    stop_if_interrupted();
    const Faces faces = load_faces(photos.subspan(i, std::min(at_once, photos.size() - i)));
    const auto pixels = faces.pixels.mul(255).round().to(torch::kUInt8).contiguous();
    if (i > 0 && (pixels.size(2) != height_ || pixels.size(3) != width_))
      throw Error(Exit::input, concat("photo ", faces.ids[0], " (", photos[i].path.string(), ") is ", pixels.size(3),
                                      "×", pixels.size(2), " pixels; the others are ", width_, "×", height_));
    channels_ = pixels.size(1), height_ = pixels.size(2), width_ = pixels.size(3);
    write_to(file_, {static_cast<const char*>(pixels.data_ptr()), static_cast<std::size_t>(pixels.numel())}, folder);
    if (faces.landmarks.defined()) landmarks.push_back(faces.landmarks);
  }
  if (!landmarks.empty()) landmarks_ = torch::cat(landmarks);
}

Decoded::~Decoded() { close(file_); }

Faces Decoded::rows(const std::vector<std::int64_t>& rows) const {
  const auto bytes = channels_ * height_ * width_;
  Faces some;
  some.pixels =
      torch::empty({static_cast<std::int64_t>(rows.size()), channels_, height_, width_}, torch::dtype(torch::kUInt8));
  auto* to = some.pixels.data_ptr<std::uint8_t>();
  for (const auto row : rows) {
    if (pread(file_, to, static_cast<std::size_t>(bytes), row * bytes) != bytes)
      throw Error(Exit::resource, concat("cannot read the decoded photos again: ", std::strerror(errno)));
    to += bytes;
  }
  if (landmarks_.defined()) some.landmarks = landmarks_.index_select(0, torch::tensor(rows));
  return some;
}

TrainingPhotos load_photos(const TrainingConfig& c, const std::vector<std::string>& people, bool with_twins,
                           ArtifactStore& store) {
  TrainingPhotos known;
  known.rows.resize(people.size());
  std::map<std::string, std::int64_t> places;
  for (std::size_t i = 0; i < people.size(); ++i) places[people[i]] = static_cast<std::int64_t>(i);
  std::vector<Photo> photos;
  for (const auto& photo : c.dataset.photos) {
    const auto place = places.find(photo.person);
    if (place == places.end()) continue;
    known.rows[static_cast<std::size_t>(place->second)].push_back(static_cast<std::int64_t>(photos.size()));
    known.labels.push_back(place->second);
    known.train.push_back(photo.train());
    photos.push_back(photo);
  }
  auto all = photos;
  for (const auto& twin : c.twins) {
    if (!with_twins) break;
    const auto posted = perturb(photos, c.dataset.photos, *twin.attack, c.seed, c.options, store);
    known.unchanged.push_back(static_cast<std::size_t>(
        std::count_if(posted.budget.begin(), posted.budget.end(), [](const auto& row) { return row.linf == 0; })));
    const auto seen = twin.transform ? transformed(posted.photos, *twin.transform, c.seed, store) : posted.photos;
    all.insert(all.end(), seen.begin(), seen.end());
    ++known.versions;
  }
  known.decoded = std::make_unique<Decoded>(all, store.root());
  return known;
}

Draw draw_rows(const TrainingConfig& c, const TrainingPhotos& known, std::int64_t step) {
  Stream stream(c.seed, "batch", std::to_string(step));
  std::vector<std::int64_t> people(known.rows.size());
  for (std::size_t i = 0; i < people.size(); ++i) people[i] = static_cast<std::int64_t>(i);
  if (!c.replacement) stream.shuffle(people);
  Draw draw;
  for (std::size_t i = 0; i < c.people_per_batch; ++i) {
    const auto person = people[c.replacement ? stream.below(people.size()) : i];
    for (const auto row : rows_of_person(c, known, person, stream)) {
      draw.rows.push_back(row);
      draw.labels.push_back(person);
    }
  }
  return draw;
}

}  // namespace facepoison
