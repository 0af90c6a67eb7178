// From a folder of photos to a data set.
#pragma once
#include "facepoison/dataset.hpp"
#include "facepoison/photos.hpp"
#include "facepoison/random.hpp"
#include "facepoison/store.hpp"

namespace facepoison {

// Which face is used if a photo shows several: the one that fills most of the picture's middle, or the one nearest the
// middle, which is LFW's rule. "auto": the latter if all photos have names as in LFW, <person>/<person>_0001.jpg.
inline const std::string prominent_face = "prominent", middle_face = "middle", auto_face = "auto";
inline const std::vector<std::string> face_rules = {auto_face, prominent_face, middle_face};

struct PrepareOptions {
  bool detect = true;  // false: crops are squashed to the canvas, and no extractor aligns them
  int canvas = canvas_side;
  std::string split_rule = "seeded";       // "facecure" or "sorted"
  double train_share = 0.7;                // of the seeded rule; 0 and 1: nobody has a train or a test photo
  Seed seed = 0;                           // of the seeded rule
  bool drop_duplicates = true;             // else they are kept and flagged
  std::vector<std::string> people{"all"};  // of the folder; see match_people
  std::string face = auto_face;            // of the detected ones, if FaceScrub's lists give no box
  std::int64_t photos_per_person = 0;      // at most, the first by their ids; 0: all
  bool allow_perturbed = false;            // canvases of a perturbed data set, marked so; changes no picture

  static PrepareOptions from(Spec& spec);  // keys of the same names, "split" for train_share; throws Error(usage)
  // Reads a config's key "prepare", such an object; else the defaults.
  static PrepareOptions of_config(Spec& config);
  Json record() const;
};

// Decodes photos, finds the face (landmarks.csv before the detector), aligns it to the canvas, drops or marks
// duplicates of any person (the lowest id is kept), splits unless the folder is split already, and writes the data set
// to `output`. A photo that cannot be used is a row of rejected.csv. Blocks of photos are cached in the store, so that
// a killed run can continue. Throws Error(input) if there are no photos or no usable ones, or perturbed ones that are
// not allowed; Error(usage) for an `output` that is inside the photo folder or has other files (see DatasetFolder).
Dataset prepare(const PhotoFolder& folder, const fs::path& output, const PrepareOptions& options, ArtifactStore& store);

// As PIL's default resize, which the reference code uses: bicubic, antialiased, ignoring the aspect ratio.
Image squash(const Image& image, int side);

// A face on its canvas, and its landmarks there.
struct AlignedFace {
  Image canvas;
  Landmarks landmarks;
};
AlignedFace align_face(const Image& image, const Landmarks& landmarks, int side);

// The landmarks of the face that fills most of the picture's middle. Throws Error(input) if there is none.
Landmarks find_face(const FaceDetector& detector, const Image& image);

// Throws Error(usage) if a data set in `output` would lie inside the folder of photos, and so become photos, or if the
// photos are that data set's canvases.
void require_apart(const fs::path& photos, const fs::path& output);

// Reads a data set, or prepares a folder of photos into the store. Photos may be perturbed. If the store is read-only
// and lacks the data set, the result has no photos, but Dataset::prepare.
Dataset dataset_of(const fs::path& path, const PrepareOptions& options, ArtifactStore& store);

}  // namespace facepoison
