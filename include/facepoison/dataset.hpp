// A data set: a manifest, canvas pictures of one size, and a list of rejected photos.
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
  std::string id;  // path below the photo folder, '/'-separated; never changes
  std::string person;
  fs::path path;       // of the canvas picture
  std::string sha256;  // of the canvas picture's file
  // The name of a picture that a stage makes, known before the picture exists. Until resolved(), path, digest and
  // landmarks are those of the photo that it is made from.
  std::optional<Output> output = {};
  std::string source;  // the photo that it was made from, below the photo folder
  std::string source_sha256;
  std::optional<Landmarks> landmarks;  // canvas pixels
  // Pixels of the source, after EXIF rotation; absent in older data sets.
  std::optional<Landmarks> source_landmarks;
  int source_width = 0, source_height = 0;  // likewise; 0: not known
  Split split = Split::none;
  std::string duplicate_of;  // the first photo with the same picture and face, exactly or nearly; or ""
  // The attack that made this picture, or several joined by " + "; "": none.
  std::string perturbed_by;
  // Of a perturbed picture: digest and path of the canvas before the first attack; "": not known.
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
  // The data set that the perturbed photos were made from, by perturb.json; "" if there are none, or it is unknown.
  fs::path originals;

  // Makes the canvases of a folder of photos that is not a data set yet; see dataset_of().
  std::shared_ptr<Stage> prepare = nullptr;

  std::vector<std::string> people() const;  // sorted, each once
};

// Reads a data set. `path`: the folder or its manifest.jsonl. Throws Error(input) for ids that do not ascend, paths
// that leave the folder and missing pictures, with the line, and for canvases that do not match their hash in the
// manifest, with the photo. Each digest is computed once: verified.txt, beside the manifest, has the size, times of
// change and inode that each canvas had then, and a canvas is read again only if these differ. In a read-only folder
// all are read each time.
// `check_canvases`: false if the caller has just checked the canvases.
Dataset read_dataset(const fs::path& path, bool check_canvases = true);
bool is_dataset(const fs::path& path);

// The path of a photo's canvas picture in a data set.
fs::path canvas_path(const fs::path& folder, const std::string& id);

// The photo as it was before its first attack; a clean one as it is. Throws Error(input) if that picture is unknown,
// missing or changed.
Photo before_attacks(const Photo& photo);
std::vector<Photo> before_attacks(std::span<const Photo> photos);

// Whether the two were made from the same bytes and the same face.
bool is_exact_duplicate(const Photo& a, const Photo& b);

// Reasons in rejected.csv, followed by the id of the photo that was kept, or alone.
inline const std::string exact_duplicate_of = "duplicate of ", near_duplicate_of = "near duplicate of ",
                         of_a_tool = "left by a tool beside its original";

std::string tools_note(std::size_t files);  // how many were left out for that reason

// Sentences about photos that were left out as duplicates or as tools' files, and about duplicates that were kept.
std::vector<std::string> duplicate_notes(const Dataset& dataset);

// How many photos show several faces, and which one is used; "" if none does or it is unknown.
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

// Landmarks as in manifests: five points [x, y], or null. Throws Error(usage) for anything else.
Json points(const std::optional<Landmarks>& landmarks);
std::optional<Landmarks> read_points(Spec& line, const std::string& key, std::optional<Json> fallback = {});

// Reads a canvas picture. Throws Error(input) with the photo's id if it does not match its hash or is damaged.
Image read_canvas(const Photo& photo);

// Reads canvas pictures into tensors on the CPU. Throws as read_canvas(), also if one has another size. Photos with and
// without landmarks cannot be mixed.
Faces load_faces(std::span<const Photo> photos);
torch::Tensor landmarks_of(std::span<const Photo> photos);  // Faces::landmarks

torch::Tensor to_tensor(const Image& image);  // 1×3×H×W float32 in [0,1], on the CPU
Image to_image(const torch::Tensor& pixels);  // 3×H×W or 1×3×H×W in [0,1], rounded to 8 bits

}  // namespace facepoison
