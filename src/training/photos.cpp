#include "training/photos.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "facepoison/error.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/posted.hpp"

namespace facepoison {
namespace {

// A person's photos and twins in one list, as FaceCure draws them: a twin is drawn like a photo.
std::vector<std::int64_t> all_versions(const TrainingPhotos& known, std::int64_t person) {
  const auto& photos = known.rows[static_cast<std::size_t>(person)];
  const auto versions = known.without_twins.count(person) ? known.clean_versions : known.versions;
  std::vector<std::int64_t> rows;
  for (std::int64_t version = 0; version < versions; ++version)
    for (const auto photo : photos) rows.push_back(known.row(version, photo));
  return rows;
}

struct Pair {
  std::int64_t photo, twin;  // rows; both went through the same transform
};
Pair some_twin(const TrainingPhotos& known, std::int64_t photo, Stream& stream) {
  const auto twins = static_cast<std::uint64_t>(known.versions - known.clean_versions);
  const auto twin = static_cast<std::int64_t>(stream.below(twins));  // attack by attack, transform by transform
  return {known.row(twin % known.clean_versions, photo), known.row(known.clean_versions + twin, photo)};
}

// Draws a person's rows of a batch; no row twice while there are others.
std::vector<std::int64_t> rows_of_person(const TrainingConfig& c, const TrainingPhotos& known, std::int64_t person,
                                         Stream& stream) {
  auto photos = known.rows[static_cast<std::size_t>(person)];
  std::vector<std::int64_t> rows;
  if (c.recipe.pair > 0 || c.needs_twins()) {
    stream.shuffle(photos);
    for (std::size_t k = 0; k < c.recipe.photos_per_person / 2; ++k) {
      const auto [photo, twin] = some_twin(known, photos[k % photos.size()], stream);
      rows.push_back(photo);
      rows.push_back(twin);
    }
    return rows;
  }
  if (!c.recipe.twin_share) photos = all_versions(known, person);
  stream.shuffle(photos);
  for (std::size_t k = 0; k < c.recipe.photos_per_person; ++k) {
    rows.push_back(photos[k % photos.size()]);
    if (c.recipe.twin_share && stream.uniform() < *c.recipe.twin_share)
      rows.back() = some_twin(known, rows.back(), stream).twin;
  }
  return rows;
}

}  // namespace

DecodedFile::DecodedFile(fs::path folder) : folder_(std::move(folder)), file_(unlinked_temporary(folder_)) {}

DecodedFile::~DecodedFile() { close(file_); }

std::vector<std::int64_t> DecodedFile::places_of(std::span<const Photo> photos) {
  std::vector<Photo> missing;
  for (const auto& photo : photos)
    if (places_.emplace(photo.sha256, static_cast<std::int64_t>(places_.size())).second) missing.push_back(photo);
  decode(missing);
  std::vector<std::int64_t> places;
  for (const auto& photo : photos) places.push_back(places_.at(photo.sha256));
  return places;
}

void DecodedFile::decode(std::span<const Photo> photos) {
  constexpr std::size_t at_once = 64;
  for (std::size_t i = 0; i < photos.size(); i += at_once) {
    stop_if_interrupted();
    const Faces faces = load_faces(photos.subspan(i, std::min(at_once, photos.size() - i)));
    const auto pixels = faces.pixels.mul(255).round().to(torch::kUInt8).contiguous();
    if (height_ > 0 && (pixels.size(2) != height_ || pixels.size(3) != width_))
      throw Error(Exit::input, concat("photo ", faces.ids[0], " (", photos[i].path.string(), ") is ", pixels.size(3),
                                      "×", pixels.size(2), " pixels; the others are ", width_, "×", height_));
    channels_ = pixels.size(1), height_ = pixels.size(2), width_ = pixels.size(3);
    write_to(file_, {static_cast<const char*>(pixels.data_ptr()), static_cast<std::size_t>(pixels.numel())}, folder_);
  }
}

torch::Tensor DecodedFile::read(const std::vector<std::int64_t>& places) const {
  const auto bytes = channels_ * height_ * width_;
  auto pixels =
      torch::empty({static_cast<std::int64_t>(places.size()), channels_, height_, width_}, torch::dtype(torch::kUInt8));
  auto* to = pixels.data_ptr<std::uint8_t>();
  for (const auto place : places) {
    if (pread(file_, to, static_cast<std::size_t>(bytes), place * bytes) != bytes)
      throw Error(Exit::resource, concat("cannot read the decoded photos again: ", std::strerror(errno)));
    to += bytes;
  }
  return pixels;
}

Decoded::Decoded(std::span<const Photo> photos, std::shared_ptr<DecodedFile> pictures)
    : pictures_(std::move(pictures)), places_(pictures_->places_of(photos)), landmarks_(landmarks_of(photos)) {}

Faces Decoded::rows(const std::vector<std::int64_t>& rows) const {
  std::vector<std::int64_t> places;
  for (const auto row : rows) places.push_back(places_[static_cast<std::size_t>(row)]);
  Faces some;
  some.pixels = pictures_->read(places);
  if (landmarks_.defined()) some.landmarks = landmarks_.index_select(0, torch::tensor(rows));
  return some;
}

std::vector<std::shared_ptr<Stage>> PhotoVersions::stages() const {
  std::vector<std::shared_ptr<Stage>> all;
  for (const auto& one : posted)
    for (auto& stage : one.stages()) all.push_back(std::move(stage));
  for (const auto* versions : {&clean, &twins})
    for (const auto& version : *versions) all.insert(all.end(), version.made_by().begin(), version.made_by().end());
  return all;
}

PhotoVersions plan_versions(const TrainingConfig& c, std::span<const Twin> twins, const LabelledPhotos& lesson) {
  PhotoVersions out;
  const auto through = [&](const StagedPhotos& photos, const std::shared_ptr<const Transform>& transform) {
    return transform ? transformed(photos, transform, c.seed) : photos;
  };
  const StagedPhotos photos(lesson.photos);
  for (const auto& transform : c.data.clean) out.clean.push_back(through(photos, transform));
  std::vector<std::size_t> with_twins;
  for (std::size_t i = 0; i < lesson.photos.size(); ++i)
    if (!lesson.without_twins.count(lesson.labels[i])) with_twins.push_back(i);
  std::vector<Photo> originals;
  for (const auto i : with_twins) originals.push_back(lesson.photos[i]);
  for (const auto& twin : twins) {
    out.posted.emplace_back(StagedPhotos(originals), c.data.dataset.photos, *twin.attack, c.seed, c.options);
    const auto& posted = out.posted.back().pictures();
    auto version = lesson.photos;
    for (std::size_t n = 0; n < with_twins.size(); ++n) version[with_twins[n]] = posted.list()[n];
    out.twins.push_back(through(StagedPhotos(std::move(version), posted.made_by()), twin.transform));
  }
  return out;
}

TrainingPhotos load_labelled(const TrainingConfig& c, std::span<const Twin> twins, const LabelledPhotos& lesson,
                             std::size_t people, const std::shared_ptr<DecodedFile>& pictures, ArtifactStore& store) {
  const auto planned = plan_versions(c, twins, lesson);
  Executor executor(store);
  for (const auto& stage : planned.stages()) executor.run(stage);
  TrainingPhotos known;
  known.labels = lesson.labels;
  known.without_twins = lesson.without_twins;
  known.rows.resize(people);
  for (std::size_t i = 0; i < lesson.labels.size(); ++i)
    known.rows[static_cast<std::size_t>(lesson.labels[i])].push_back(static_cast<std::int64_t>(i));
  for (const auto& posted : planned.posted) {
    const auto budget = posted.budget(store);
    known.unchanged.push_back(static_cast<std::size_t>(
        std::count_if(budget.begin(), budget.end(), [](const auto& row) { return row.linf == 0; })));
  }
  std::vector<Photo> all;
  for (const auto* versions : {&planned.clean, &planned.twins})
    for (const auto& version : *versions) {
      const auto made = version.resolved(store);
      all.insert(all.end(), made.list().begin(), made.list().end());
    }
  known.clean_versions = static_cast<std::int64_t>(planned.clean.size());
  known.versions = known.clean_versions + static_cast<std::int64_t>(planned.twins.size());
  known.decoded = std::make_unique<Decoded>(all, pictures);
  return known;
}

namespace {

struct PeoplesPhotos {
  LabelledPhotos lesson;
  std::vector<bool> train;  // the data set's split
};

PeoplesPhotos photos_of(const TrainingConfig& c, const std::vector<std::string>& people) {
  PeoplesPhotos out;
  for (const auto& photo : c.data.dataset.photos) {
    const auto label = std::find(people.begin(), people.end(), photo.person);
    if (label == people.end()) continue;
    out.lesson.labels.push_back(label - people.begin());
    out.train.push_back(photo.train());
    out.lesson.photos.push_back(photo);
  }
  return out;
}

std::span<const Twin> twins_of(const TrainingConfig& c, bool with_twins) {
  return with_twins ? std::span<const Twin>(c.data.twins) : std::span<const Twin>();
}

}  // namespace

TrainingPhotos load_photos(const TrainingConfig& c, const std::vector<std::string>& people, bool with_twins,
                           ArtifactStore& store) {
  auto [lesson, train] = photos_of(c, people);
  auto known = load_labelled(c, twins_of(c, with_twins), lesson, people.size(),
                             std::make_shared<DecodedFile>(store.root()), store);
  known.train = std::move(train);
  return known;
}

std::vector<std::shared_ptr<Stage>> stages_of(const TrainingConfig& c) {
  auto all = plan_versions(c, twins_of(c, true), photos_of(c, c.data.people).lesson).stages();
  const auto held_out = plan_versions(c, twins_of(c, c.needs_twins()), photos_of(c, c.data.held_out).lesson).stages();
  all.insert(all.end(), held_out.begin(), held_out.end());
  return all;
}

Draw draw_rows(const TrainingConfig& c, const TrainingPhotos& known, std::int64_t step) {
  Stream stream(c.seed, "batch", std::to_string(step));
  std::vector<std::int64_t> people(known.rows.size());
  for (std::size_t i = 0; i < people.size(); ++i) people[i] = static_cast<std::int64_t>(i);
  if (!c.recipe.replacement) stream.shuffle(people);
  Draw draw;
  for (std::size_t i = 0; i < c.recipe.people_per_batch; ++i) {
    const auto person = people[c.recipe.replacement ? stream.below(people.size()) : i];
    for (const auto row : rows_of_person(c, known, person, stream)) {
      draw.rows.push_back(row);
      draw.labels.push_back(c.detects() ? static_cast<std::int64_t>(draw.labels.size() % 2) : person);
    }
  }
  return draw;
}

}  // namespace facepoison
