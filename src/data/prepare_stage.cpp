#include "data/prepare_stage.hpp"

#include <algorithm>
#include <optional>

#include "data/duplicates.hpp"
#include "facepoison/device.hpp"
#include "facepoison/error.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/version.hpp"

namespace facepoison {
namespace {

constexpr std::size_t photos_in_a_unit = 32;

// LFW's names: <person>/<person>_0001.jpg.
bool is_called_as_in_lfw(const PhotoFile& photo) {
  const auto name = photo.path.filename().string();
  return name.size() == photo.person.size() + 9 && name.starts_with(photo.person + "_") && name.ends_with(".jpg") &&
         std::all_of(name.end() - 8, name.end() - 4, [](char c) { return '0' <= c && c <= '9'; });
}

std::string face_rule_of(const PhotoFolder& folder, const PrepareOptions& options) {
  if (options.face != auto_face) return options.face;
  const bool is_lfw = std::all_of(folder.photos.begin(), folder.photos.end(), is_called_as_in_lfw);
  return is_lfw ? middle_face : prominent_face;
}

// The face at FaceScrub's box, else the face by the rule; see PrepareOptions::face.
const Detection& choose(const std::vector<Detection>& faces, const Image& image, const std::optional<Box>& box,
                        const std::string& rule) {
  const auto rank = [&](const Detection& face) {
    if (box) return overlap(face.box, *box);
    const double dx = (face.box.x1 + face.box.x2) / image.width - 1,
                 dy = (face.box.y1 + face.box.y2) / image.height - 1;
    const double off_middle = 0.5 * (dx * dx + dy * dy);
    if (rule == middle_face) return -off_middle;
    return face.box.area() / (static_cast<double>(image.width) * image.height) - off_middle;
  };
  return *std::max_element(faces.begin(), faces.end(), [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
}

// Of each photo; "" for a file that cannot be read, which is rejected later.
std::vector<std::string> hashes_of(const PhotoFolder& folder, ArtifactStore& store) {
  std::vector<fs::path> files;
  for (const auto& photo : folder.photos) files.push_back(photo.path);
  return store.digests_of(files, folder.root);
}

}  // namespace

PrepareStage::PrepareStage(PhotoFolder folder, const PrepareOptions& options, ArtifactStore& store)
    : StageOf("prepared", "prepare", photos_in_a_unit),
      folder_(std::move(folder)),
      options_(options),
      source_(!options.detect         ? Source::none
              : folder_.has_landmarks ? Source::landmarks_file
                                      : Source::detector),
      face_rule_(face_rule_of(folder_, options)) {
  if (options.detect && options.canvas != canvas_side)
    throw Error(Exit::usage, concat("canvas ", options.canvas, " is possible only without face detection: expected ",
                                    canvas_side, ", which holds every template"));
  if (source_ == Source::detector) detector_ = std::make_unique<FaceDetector>();
  hashes_ = hashes_of(folder_, store);
  add_units_by_person(folder_.photos, photos_in_a_unit);
}

Json PrepareStage::key(const Unit& unit) const {
  stop_if_interrupted();
  const auto& files = folder_.photos;
  Json photos = Json::array();
  for (auto i = unit.first; i < unit.first + unit.count; ++i) {
    Json photo = {hashes_[i]};
    if (const auto box = folder_.box_of(files[i], hashes_[i])) photo.push_back({box->x1, box->y1, box->x2, box->y2});
    if (source_ == Source::landmarks_file)
      if (const auto found = folder_.landmarks_of(files[i]))
        for (const auto& p : *found) photo.push_back({p.x, p.y});
    photos.push_back(photo);
  }
  Json detector;
  if (detector_)
    detector = {{"weights", detector_->sha256()}, {"arithmetic", arithmetic(torch::kCPU)}, {"face", face_rule_}};
  return {{"format", 9},          {"source", static_cast<int>(source_)}, {"side", options_.canvas},
          {"detector", detector}, {"opencv", opencv_version()},          {"photos", photos}};
}

std::vector<PreparedPhoto> PrepareStage::decode_rows(const Rows& rows) const {
  std::vector<PreparedPhoto> photos(rows.size());
  in_pieces(torch::kCPU, rows.size(), 1, [&](std::size_t first, std::size_t count) {
    for (auto n = first; n < first + count; ++n) photos[n] = prepare_photo(rows[n]);
  });
  return photos;
}

void PrepareStage::write_unit(const Unit&, std::span<const PreparedPhoto> photos, const fs::path& folder) const {
  Json rows = Json::array();
  for (std::size_t i = 0; i < photos.size(); ++i) {
    rows.push_back(photos[i].row);
    if (!photos[i].png.empty()) write_unflushed(folder / concat(i, ".png"), photos[i].png);
  }
  write_unflushed(folder / "rows.json", rows.dump());
}

PreparedPhoto PrepareStage::prepare_photo(std::size_t row) const {
  PreparedPhoto prepared;
  Json& record = prepared.row;
  for (const auto* key : {"refused", "sha256", "size", "landmarks", "source_landmarks", "thumbnail"})
    record[key] = nullptr;
  record["faces"] = 1;
  try {
    const Image image = decode_image(read_file(folder_.photos[row].path), Exif::rotate);
    record["size"] = {image.width, image.height};
    Image canvas;
    if (source_ == Source::none) {
      canvas = squash(image, options_.canvas);
    } else {
      const auto [landmarks, faces] = find_face_of(row, image);
      record["faces"] = faces;
      auto face = align_face(image, landmarks, options_.canvas);
      canvas = std::move(face.canvas);
      for (const auto& p : face.landmarks) record["landmarks"].push_back({p.x, p.y});
      for (const auto& p : landmarks) record["source_landmarks"].push_back({p.x, p.y});
    }
    prepared.png = encode_png(canvas);
    record["sha256"] = sha256(prepared.png);
    record["thumbnail"] = thumbnail_of(image);
  } catch (const Error& error) {
    if (error.code() != Exit::input) throw;
    record["refused"] = error.what();
  }
  return prepared;
}

PrepareStage::FoundFace PrepareStage::find_face_of(std::size_t row, const Image& image) const {
  const auto& photo = folder_.photos[row];
  if (source_ == Source::landmarks_file) {
    const auto found = folder_.landmarks_of(photo);
    if (!found) throw Error(Exit::input, "not in landmarks.csv");
    return {*found};
  }
  const auto faces = detector_->detect(image);
  if (faces.empty()) throw Error(Exit::input, "no face found");
  const auto box = folder_.box_of(photo, hashes_[row]);
  const auto& face = choose(faces, image, box, face_rule_);
  if (box && overlap(face.box, *box) < 0.2) throw Error(Exit::input, "no face found at FaceScrub's box");
  return {face.landmarks, faces.size()};
}

Image squash(const Image& image, int side) { return resample_image(image, side, side, Interpolation::bicubic, true); }

AlignedFace align_face(const Image& image, const Landmarks& landmarks, int side) {
  const auto to_canvas = fit_similarity(landmarks, canvas_landmarks());
  AlignedFace face{warp_image(image, to_canvas, side), {}};
  for (std::size_t i = 0; i < landmarks.size(); ++i) face.landmarks[i] = to_canvas.apply(landmarks[i]);
  return face;
}

Landmarks find_face(const FaceDetector& detector, const Image& image) {
  const auto faces = detector.detect(image);
  if (faces.empty()) throw Error(Exit::input, "no face found");
  return choose(faces, image, {}, prominent_face).landmarks;
}

}  // namespace facepoison
