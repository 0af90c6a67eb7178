// The stage that makes the canvas of each photo of a folder.
#pragma once
#include "facepoison/prepare.hpp"
#include "facepoison/stage.hpp"

namespace facepoison {

// The result for one photo: its row, with the reason of a refusal or the face's place, and the bytes of its canvas.
struct PreparedPhoto {
  Json row;
  std::string png;
};

class PrepareStage final : public StageOf<std::vector<PreparedPhoto>, PreparedPhoto> {
 public:
  // Hashes the folder's photos. Throws Error(usage) if faces are aligned and the canvas has another side than
  // canvas_side.
  PrepareStage(PhotoFolder folder, const PrepareOptions& options, ArtifactStore& store);

  const std::string& hash(std::size_t row) const { return hashes_[row]; }  // of the photo's file
  const std::string& face_rule() const { return face_rule_; }              // never auto
  std::string detector_sha256() const { return detector_ ? detector_->sha256() : ""; }

  Json key(const Unit& unit) const override;

 private:
  struct FoundFace {
    Landmarks landmarks;
    std::size_t of = 1;  // faces that the photo shows
  };

  std::vector<PreparedPhoto> decode_rows(const Rows& rows) const override;
  std::vector<PreparedPhoto> compute_rows(const Rows&, std::vector<PreparedPhoto> photos) override { return photos; }
  void write_unit(const Unit& unit, std::span<const PreparedPhoto> photos, const fs::path& folder) const override;

  PreparedPhoto prepare_photo(std::size_t row) const;
  // Throws Error(input) if there is none.
  FoundFace find_face_of(std::size_t row, const Image& image) const;

  PhotoFolder folder_;
  PrepareOptions options_;
  // How a photo's face is found. Landmarks in a file come before the detector: rendered faces need none.
  enum class Source { landmarks_file, detector, none } source_;
  std::string face_rule_;
  std::unique_ptr<FaceDetector> detector_;  // if the source is the detector
  std::vector<std::string> hashes_;
};

}  // namespace facepoison
