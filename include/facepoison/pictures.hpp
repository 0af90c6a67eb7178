// Photos that stages make: they have names before their pictures exist.
#pragma once
#include <memory>

#include "facepoison/dataset.hpp"
#include "facepoison/stage.hpp"
#include "facepoison/store.hpp"

namespace facepoison {

// Photos, and the stages that make the pictures of those that have an `output`. A copy shares the photos.
class StagedPhotos {
 public:
  using Stages = std::vector<std::shared_ptr<Stage>>;
  StagedPhotos() : StagedPhotos(std::vector<Photo>()) {}
  explicit StagedPhotos(std::vector<Photo> photos, Stages made_by = {})
      : StagedPhotos(std::make_shared<const std::vector<Photo>>(std::move(photos)), std::move(made_by)) {}
  explicit StagedPhotos(std::shared_ptr<const std::vector<Photo>> photos, Stages made_by = {})
      : photos_(std::move(photos)), made_by_(std::move(made_by)) {}

  const std::vector<Photo>& list() const& { return *photos_; }
  std::vector<Photo> list() && { return *photos_; }  // of a temporary, which a reference would outlive
  std::span<const Photo> of(const Stage::Unit& unit) const { return std::span(list()).subspan(unit.first, unit.count); }
  const Stages& made_by() const { return made_by_; }
  // With path, digest and landmarks of the pictures, which must be in the store.
  StagedPhotos resolved(const ArtifactStore& store) const;

 private:
  std::shared_ptr<const std::vector<Photo>> photos_;
  Stages made_by_;
};

// What decides a photo's results, for keys: the name of a picture that a stage makes, else the picture's digest and
// landmarks.
Json content_key(const Photo& photo);

// The artefacts that hold these photos' pictures, if stages make them; each once.
std::vector<ArtefactId> made_in(std::span<const Photo> photos);

// As StagedPhotos::resolved().
std::vector<Photo> resolved(std::vector<Photo> photos, const ArtifactStore& store);

// A picture as a stage makes it.
struct MadePicture {
  std::string png;
  std::optional<Landmarks> landmarks;
};

// Writes the pictures of an artefact, in the order of its rows, as resolved() reads them.
void write_pictures(std::span<const MadePicture> pictures, const fs::path& folder);

// The same photos with pictures that the stage makes, a row for each.
StagedPhotos pictures_of(std::vector<Photo> photos, const std::shared_ptr<Stage>& stage);

}  // namespace facepoison
