// The photos and twins that a training draws from, decoded once into a file, and the draw of a batch.
#pragma once
#include <map>

#include "facepoison/posted.hpp"
#include "facepoison/training.hpp"

namespace facepoison {

// An unnamed file of decoded pictures of one size, deleted with the object. Memory does not grow with their number. For
// one thread.
class DecodedFile {
 public:
  explicit DecodedFile(fs::path folder);
  DecodedFile(const DecodedFile&) = delete;
  ~DecodedFile();
  // The photos' places in the file. Throws what load_faces() throws.
  std::vector<std::int64_t> places_of(std::span<const Photo> photos);
  torch::Tensor read(const std::vector<std::int64_t>& places) const;  // uint8

 private:
  void decode(std::span<const Photo> photos);
  fs::path folder_;
  int file_;
  std::int64_t channels_ = 0, height_ = 0, width_ = 0;
  std::map<std::string, std::int64_t> places_;  // by the digest of a canvas
};

// Photos with their pictures in a DecodedFile.
class Decoded {
 public:
  // Throws what load_faces() throws.
  Decoded(std::span<const Photo> photos, std::shared_ptr<DecodedFile> pictures);
  std::int64_t size() const { return static_cast<std::int64_t>(places_.size()); }
  // The pixels as uint8, and landmarks if there are any.
  Faces rows(const std::vector<std::int64_t>& rows) const;

 private:
  std::shared_ptr<DecodedFile> pictures_;
  std::vector<std::int64_t> places_;
  torch::Tensor landmarks_;  // of all
};

// People's photos: the first versions are clean, one for each of the config's `clean`; the others are its twins. Row of
// a photo's version: version · photos + photo.
struct TrainingPhotos {
  std::vector<std::int64_t> labels;             // of the clean photos: indices into the list of people
  std::vector<std::vector<std::int64_t>> rows;  // of each person: clean photos
  std::vector<bool> train;                      // the data set's split
  std::int64_t versions = 0, clean_versions = 0;
  std::set<std::int64_t> without_twins;  // people with only the clean versions drawn
  std::vector<std::size_t> unchanged;    // of each twin: how many photos the attack did not change
  std::unique_ptr<const Decoded> decoded;

  std::int64_t photos() const { return static_cast<std::int64_t>(labels.size()); }
  std::int64_t row(std::int64_t version, std::int64_t photo) const { return version * photos() + photo; }
};

// The planned versions of a lesson's photos: clean ones, then twins. Each has one photo for each of the lesson's.
struct PhotoVersions {
  std::vector<StagedPhotos> clean;                     // one for each of the config's `clean`
  std::vector<StagedPhotos> twins;                     // for people without twins the photo itself, never drawn
  std::vector<PerturbedPhotos> posted;                 // before the twins' transforms, of people with twins
  std::vector<std::shared_ptr<Stage>> stages() const;  // to run first
};
// `twins`: the config's, or none. The config must outlive it.
PhotoVersions plan_versions(const TrainingConfig& config, std::span<const Twin> twins, const LabelledPhotos& lesson);

// Plans, runs and decodes the versions. Labels are 0 … people−1.
TrainingPhotos load_labelled(const TrainingConfig& config, std::span<const Twin> twins, const LabelledPhotos& lesson,
                             std::size_t people, const std::shared_ptr<DecodedFile>& pictures, ArtifactStore& store);

TrainingPhotos load_photos(const TrainingConfig& config, const std::vector<std::string>& people, bool with_twins,
                           ArtifactStore& store);

// The rows of a batch and their labels, person after person. With a pair term, or for a cloak detector or a purifier,
// each photo is followed by one of its twins. A cloak detector's labels are 0 and 1.
struct Draw {
  std::vector<std::int64_t> rows, labels;
};
Draw draw_rows(const TrainingConfig& config, const TrainingPhotos& known, std::int64_t step);

}  // namespace facepoison
