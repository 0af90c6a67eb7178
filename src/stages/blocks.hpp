// What the arrows over photos share: batches of one size, and what of a photo is part of a key.
#pragma once
#include <set>

#include "facepoison/dataset.hpp"
#include "facepoison/store.hpp"

namespace facepoison {

inline std::vector<Photo> chosen(std::span<const Photo> photos, const std::vector<std::size_t>& rows) {
  std::vector<Photo> some;
  for (const auto row : rows) some.push_back(photos[row]);
  return some;
}

// Repeats the last photo until there are `size`: a network may round otherwise in a smaller batch.
inline Faces pad(Faces faces, std::size_t size) {
  const auto missing = static_cast<std::int64_t>(size) - faces.size();
  if (missing <= 0) return faces;
  const auto index = torch::cat({torch::arange(faces.size()), torch::full({missing}, faces.size() - 1, torch::kInt64)});
  faces.pixels = faces.pixels.index_select(0, index);
  if (faces.landmarks.defined()) faces.landmarks = faces.landmarks.index_select(0, index);
  faces.ids.resize(size, faces.ids.back());
  faces.people.resize(size, faces.people.back());
  return faces;
}

// The n-th of some faces, alone.
inline Faces only(const Faces& faces, std::size_t n) {
  const auto row = static_cast<std::int64_t>(n);
  Faces one{faces.pixels.narrow(0, row, 1), {}, {faces.ids[n]}, {faces.people[n]}};
  if (faces.landmarks.defined()) one.landmarks = faces.landmarks.narrow(0, row, 1);
  return one;
}

// The artefacts of the store that hold these photos' pictures, where an arrow of an experiment made them.
inline std::vector<std::string> made_in(std::span<const Photo> photos, const ArtifactStore& store) {
  std::set<std::string> artefacts;
  for (const auto& photo : photos)
    for (const auto* kind : {"perturbed", "transformed"})
      if (photo.path.string().starts_with((store.root() / kind).string()))
        artefacts.insert(photo.path.parent_path().filename());
  return {artefacts.begin(), artefacts.end()};
}

// Where a plan finds a picture unmade: a digest that nothing else has.
inline std::string stand_in_digest(const fs::path& artefact, std::size_t place) {
  return concat("of ", artefact.filename().string(), " ", place);
}

// What of a photo decides its embedding.
inline Json content_key(const Photo& photo) {
  Json key = {photo.sha256};
  if (photo.landmarks)
    for (const auto& p : *photo.landmarks) key.push_back({p.x, p.y});
  return key;
}

}  // namespace facepoison
