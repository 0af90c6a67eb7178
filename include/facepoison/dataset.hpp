// A data set: a manifest, canvas pictures of one size, and what was refused on the way in.
#pragma once
#include <torch/script.h>

#include <optional>
#include <span>

#include "facepoison/artefact.hpp"
#include "facepoison/digests.hpp"
#include "facepoison/image.hpp"
#include "facepoison/spec.hpp"
#include "facepoison/splits.hpp"
#include "facepoison/table.hpp"

namespace facepoison {

class Stage;

struct Photo {
  std::string id;  // path below the photo folder, '/'-separated; for ever the same
  std::string person;
  fs::path path;       // of the canvas picture
  std::string sha256;  // of the canvas picture's file
  // Of a picture that a stage makes: its name, by which it is known before it is there. Path, digest and landmarks are
  // then those of the photo that it is made from, until resolved() reads its own.
  std::optional<Output> output = {};
  std::string source;  // the photo that it was made from, below the photo folder
  std::string source_sha256;
  std::optional<Landmarks> landmarks;  // canvas pixels
  // Pixels of the source, after EXIF rotation; absent in data sets of before they were kept.
  std::optional<Landmarks> source_landmarks;
  int source_width = 0, source_height = 0;  // likewise; 0: not known
  Split split = Split::none;
  std::string duplicate_of;  // the first photo of the same picture and the same face in it, exactly or nearly, or ""
  // The attack that made this picture, or several joined by " + "; "": it is as it was prepared.
  std::string perturbed_by;
  // Of a perturbed picture: the canvas from before the first attack, and where it was then; "": not known.
  std::string original_sha256;
  fs::path original;
  bool train() const { return split == Split::train; }
  bool test() const { return split == Split::test; }
};

struct Dataset {
  fs::path folder;
  int side = 0;               // of the canvas, pixels
  std::vector<Photo> photos;  // sorted by the bytes of their ids
  std::string manifest_sha256;
  std::size_t rejected = 0;  // rows of rejected.csv
  // The data set that the perturbed photos were made from, by perturb.json; "" where none is perturbed or it says
  // nothing.
  fs::path originals;

  // Makes the canvases of a folder of photos that is not a data set yet; see dataset_of().
  std::shared_ptr<Stage> prepare = nullptr;

  std::vector<std::string> people() const;  // sorted, each once
};

// `path` may be the folder or its manifest.jsonl. Refuses ids out of order or twice, paths that leave the folder,
// missing pictures, with the line, and canvases that are not what the manifest's hash says, with the photo:
// Error(input). A digest is taken once: verified.txt, beside the manifest, has what each canvas's file looked like then
// (size, times of change, inode), and a canvas is read again only where that differs. In a folder that cannot be
// written all are read each time.
// `check_canvases`: without it no canvas is looked at, for who has just done so.
Dataset read_dataset(const fs::path& path, bool check_canvases = true);
bool is_dataset(const fs::path& path);

// Where a data set in `folder` has a photo's canvas picture.
fs::path canvas_path(const fs::path& folder, const std::string& id);

// The photo as it was before its first attack; a clean one as it is. Throws Error(input) where that picture is not
// known, is missing or was changed.
Photo before_attacks(const Photo& photo);
std::vector<Photo> before_attacks(std::span<const Photo> photos);

// Were the two made from the same bytes, and is it the same face in them?
bool is_exact_duplicate(const Photo& a, const Photo& b);

// Reasons in rejected.csv, followed by the id of the photo that stayed, or alone.
inline const std::string exact_duplicate_of = "duplicate of ", near_duplicate_of = "near duplicate of ",
                         of_a_tool = "left by a tool beside its original";

std::string tools_note(std::size_t files);  // how many were left out for that reason

// Sentences on what was left out as a duplicate or as a tool's file, and on duplicates that were kept; none where there
// is nothing to say.
std::vector<std::string> duplicate_notes(const Dataset& dataset);

// How many photos show several faces, and which one is used; "" where none does or it isn't known.
std::string several_faces_note(const Dataset& dataset);

// Writes manifest.jsonl (paths relative to `folder`) and rejected.csv. The canvas pictures must be there already; see
// DatasetFolder.
void write_dataset(const fs::path& folder, const std::vector<Photo>& photos, int side, const Table& rejected);

// A batch of N photos, as attacks and extractors see them.
struct Faces {
  torch::Tensor pixels;     // N×3×H×W float32 RGB in [0,1]
  torch::Tensor landmarks;  // N×5×2 float64 (x, y) canvas pixels, or undefined: then extractors resize plainly
  std::vector<std::string> ids, people;
  std::int64_t size() const { return pixels.size(0); }
  Faces to(torch::Device device) const;
};

// Landmarks as manifests have them: five points [x, y], or null. Throws Error(usage) for anything else.
Json points(const std::optional<Landmarks>& landmarks);
std::optional<Landmarks> read_points(Spec& line, const std::string& key, std::optional<Json> fallback = {});

// A canvas picture. Throws Error(input) with the photo's id when it is not what the hash says, or is damaged.
Image read_canvas(const Photo& photo);

// Reads the canvas pictures, on the CPU; throws Error(input) with the photo's id as read_canvas(), and when one has
// another size. Photos with and without landmarks cannot be mixed.
Faces load_faces(std::span<const Photo> photos);
torch::Tensor landmarks_of(std::span<const Photo> photos);  // Faces::landmarks

torch::Tensor to_tensor(const Image& image);  // 1×3×H×W float32 in [0,1], on the CPU
Image to_image(const torch::Tensor& pixels);  // 3×H×W or 1×3×H×W in [0,1], rounded to 8 bits

}  // namespace facepoison
