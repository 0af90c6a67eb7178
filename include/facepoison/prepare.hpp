// From a folder of photos to a data set.
#pragma once
#include "facepoison/dataset.hpp"
#include "facepoison/photos.hpp"
#include "facepoison/random.hpp"
#include "facepoison/store.hpp"

namespace facepoison {

// Which face is used of a photo that shows several: the one that fills most of the picture's middle, or the one nearest
// the middle, which is what LFW means. "auto": the latter where all photos are called as LFW's are,
// <person>/<person>_0001.jpg.
inline const std::string prominent_face = "prominent", middle_face = "middle", auto_face = "auto";
inline const std::vector<std::string> face_rules = {auto_face, prominent_face, middle_face};

struct PrepareOptions {
  bool detect = true;  // false: crops are squashed to the canvas, and no extractor aligns them
  int canvas = canvas_side;
  std::string split_rule = "seeded";       // "facecure" or "sorted"
  double train_share = 0.7;                // of the seeded rule; 0 and 1: nobody has a train or a test photo
  Seed seed = 0;                           // of the seeded rule
  bool drop_duplicates = true;             // else they are kept and flagged
  std::vector<std::string> people{"all"};  // whom of the folder; see match_people
  std::string face = auto_face;            // of the detected ones, where FaceScrub's lists give no box
  std::int64_t photos_per_person = 0;      // at most, the first by their ids; 0: all
  bool allow_perturbed = false;            // canvases of a perturbed data set, which are marked so; decides no picture

  static PrepareOptions from(Spec& spec);  // keys of the same names, "split" for train_share; throws Error(usage)
  // Of a config's key "prepare", such an object; the defaults where there is none.
  static PrepareOptions of_config(Spec& config);
  Json record() const;
};

// Decodes, finds the face (landmarks.csv before the detector), aligns to the canvas, drops or marks duplicates, of
// whichever person (the lowest id stays), splits where the folder is not split already, and writes the data set to
// `output`. A photo that cannot be used is a row of rejected.csv. Blocks of photos are cached in the store, so that a
// killed run goes on. Throws Error(input) when there are no photos or no usable ones, or perturbed ones that are not
// allowed; Error(usage) for an `output` that is inside the photo folder or holds somebody's files (see DatasetFolder).
Dataset prepare(const PhotoFolder& folder, const fs::path& output, const PrepareOptions& options, ArtifactStore& store);

// As PIL's default resize, which the reference code uses: bicubic, antialiased, the aspect ratio given up.
Image squash(const Image& image, int side);

// A face on its canvas, and its landmarks there.
struct AlignedFace {
  Image canvas;
  Landmarks landmarks;
};
AlignedFace align_face(const Image& image, const Landmarks& landmarks, int side);

// The landmarks of the face that fills most of the picture's middle. Throws Error(input) where there is none.
Landmarks find_face(const FaceDetector& detector, const Image& image);

// Throws Error(usage) where a data set in `output` would lie inside the folder of photos, whose photos it would be, or
// where the photos are that data set's canvases.
void require_apart(const fs::path& photos, const fs::path& output);

// The data set of a folder that is one already, or of a folder of photos, prepared into the store. Its photos may be
// perturbed. Where the store may only be read, and the data set is not there, it has no photos, but Dataset::prepare.
Dataset dataset_of(const fs::path& path, const PrepareOptions& options, ArtifactStore& store);

}  // namespace facepoison
