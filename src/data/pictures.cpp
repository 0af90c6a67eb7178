#include "facepoison/pictures.hpp"

#include <algorithm>
#include <set>

#include "facepoison/error.hpp"
#include "facepoison/interrupt.hpp"

namespace facepoison {

constexpr auto rows_file = "pictures.json";

Json content_key(const Photo& photo) {
  if (photo.output) return {photo.output->unit.name, photo.output->row};
  Json key = {photo.sha256};
  if (photo.landmarks)
    for (const auto& p : *photo.landmarks) key.push_back({p.x, p.y});
  return key;
}

std::vector<ArtefactId> made_in(std::span<const Photo> photos) {
  std::set<ArtefactId> artefacts;
  for (const auto& photo : photos)
    if (photo.output) artefacts.insert(photo.output->unit);
  return {artefacts.begin(), artefacts.end()};
}

std::vector<Photo> resolved(std::vector<Photo> photos, const ArtifactStore& store) {
  ArtefactId open;
  fs::path folder;
  Json rows;
  for (auto& photo : photos) {
    if (!photo.output) continue;
    if (photo.output->unit != open) {
      stop_if_interrupted();
      open = photo.output->unit;
      folder = store.path(open);
      rows = read_json(folder / rows_file);
    }
    Spec row(rows.at(photo.output->row), folder.string());
    photo.path = folder / concat(photo.output->row, ".png");
    photo.sha256 = row.text("sha256");
    photo.landmarks = read_points(row, "landmarks");
  }
  return photos;
}

StagedPhotos StagedPhotos::resolved(const ArtifactStore& store) const {
  const auto is_made = [](const Photo& photo) { return photo.output.has_value(); };
  if (std::none_of(list().begin(), list().end(), is_made)) return *this;
  return StagedPhotos(facepoison::resolved(list(), store), made_by_);
}

void write_pictures(std::span<const MadePicture> pictures, const fs::path& folder) {
  Json rows = Json::array();
  for (std::size_t n = 0; n < pictures.size(); ++n) {
    write_unflushed(folder / concat(n, ".png"), pictures[n].png);
    rows.push_back({{"sha256", sha256(pictures[n].png)}, {"landmarks", points(pictures[n].landmarks)}});
  }
  write_unflushed(folder / rows_file, rows.dump());
}

StagedPhotos pictures_of(std::vector<Photo> photos, const std::shared_ptr<Stage>& stage) {
  for (std::size_t row = 0; row < photos.size(); ++row) photos[row].output = stage->output(row);
  return StagedPhotos(std::move(photos), {stage});
}

}  // namespace facepoison
