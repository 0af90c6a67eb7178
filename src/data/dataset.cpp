#include "facepoison/dataset.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "facepoison/dataset_folder.hpp"
#include "facepoison/error.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/log.hpp"
#include "facepoison/threads.hpp"

namespace facepoison {
namespace {

Json to_json(const Photo& photo, int side, const fs::path& folder) {
  Json line = {{"id", photo.id},
               {"person", photo.person},
               {"path", photo.path.lexically_relative(folder).generic_string()},
               {"source", photo.source},
               {"source_sha256", photo.source_sha256},
               {"sha256", photo.sha256},
               {"side", side},
               {"source_size", {photo.source_width, photo.source_height}},
               {"source_landmarks", points(photo.source_landmarks)},
               {"landmarks", points(photo.landmarks)},
               {"split", split_name(photo.split)},
               {"duplicate_of", nullptr}};
  if (!photo.duplicate_of.empty()) line["duplicate_of"] = photo.duplicate_of;
  // A clean photo has neither key, so that manifests of clean photos do not change.
  if (!photo.perturbed_by.empty()) line["perturbed_by"] = photo.perturbed_by;
  if (!photo.original_sha256.empty()) line["original_sha256"] = photo.original_sha256;
  return line;
}

// A text, or "" for null.
std::string text_or_null(Spec& line, const std::string& key, const char* what, std::optional<Json> fallback = {}) {
  const Json value = line.raw(key, fallback);
  if (!value.is_null() && !value.is_string())
    line.fail(key, concat("found ", value.dump(), ", expected ", what, " or null"));
  return value.is_null() ? "" : value.get<std::string>();
}

// `below`: the last folder that was found to be in the data set's folder, since following links is slow.
Photo from_json(const Json& json, const fs::path& folder, const std::string& where, int side, fs::path& below) {
  Spec line(json, where);
  Photo photo{.id = line.text("id"), .person = line.text("person")};
  const fs::path path = line.text("path");
  if (path.is_absolute() || *path.lexically_normal().begin() == "..")
    line.fail("path", concat("\"", path.string(), "\" leaves the data set's folder"));
  photo.path = folder / path;
  const bool plain = fs::is_regular_file(fs::symlink_status(photo.path));
  if (!plain && !fs::is_regular_file(photo.path)) line.fail("path", concat("no such picture: ", photo.path.string()));
  if (!plain || photo.path.parent_path() != below) {
    if (!is_below(photo.path, folder))
      line.fail("path", concat(photo.path.string(), " is a link that leaves the data set's folder"));
    below = plain ? photo.path.parent_path() : below;
  }
  photo.source = line.text("source");
  photo.source_sha256 = line.text("source_sha256");
  photo.sha256 = line.text("sha256");
  if (const auto found = line.integer("side", 1, 100000); found != side)
    line.fail("side", concat("found ", found, ", the first line has ", side));
  const auto split = line.choice("split", {"train", "test", ""});
  photo.split = split == "train" ? Split::train : split == "test" ? Split::test : Split::none;
  photo.duplicate_of = text_or_null(line, "duplicate_of", "an id");
  photo.perturbed_by = text_or_null(line, "perturbed_by", "an attack", Json());
  photo.original_sha256 = text_or_null(line, "original_sha256", "a digest", Json());
  photo.landmarks = read_points(line, "landmarks");
  photo.source_landmarks = read_points(line, "source_landmarks", Json());
  if (line.has("source_size")) {
    const auto size = line.numbers("source_size", 2);
    const auto fits = [](double pixels) { return pixels >= 0 && pixels <= 1e9 && pixels == std::floor(pixels); };
    if (!std::all_of(size.begin(), size.end(), fits))
      line.fail("source_size", concat("found ", size[0], "×", size[1], ", expected a picture's width and height"));
    photo.source_width = static_cast<int>(size[0]), photo.source_height = static_cast<int>(size[1]);
  }
  line.finish();
  return photo;
}

// The lines of a text, without their ends. No copies: a manifest may have tens of megabytes.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

void read_photos(const std::string& manifest, const std::string& name, Dataset& dataset) {
  const auto lines = lines_of(manifest);
  const auto where = [&](std::size_t row) { return concat(name, ", line ", row + 1); };
  if (!lines.empty())
    dataset.side =
        static_cast<int>(Spec(parse_json(std::string(lines[0]), where(0)), where(0)).integer("side", 1, 100000));
  dataset.photos.resize(lines.size());
  in_threads(lines.size(), [&](std::size_t first, std::size_t end) {
    fs::path below;
    for (auto row = first; row < end; ++row) {
      stop_if_interrupted();
      const auto line = parse_json(std::string(lines[row]), where(row));
      dataset.photos[row] = from_json(line, dataset.folder, where(row), dataset.side, below);
    }
  });
  for (std::size_t row = 1; row < lines.size(); ++row)
    if (const auto &before = dataset.photos[row - 1].id, &id = dataset.photos[row].id; !(before < id))
      throw Error(Exit::input, concat(where(row), ": id \"", id, "\" comes after \"", before, "\"; ids must ascend"));
}

Table rejected_of(const fs::path& folder) {
  const fs::path path = folder / "rejected.csv";
  return fs::exists(path) ? read_csv(path) : Table{{"id", "person", "reason"}, {}, {}};
}

bool is_perturbed(const Photo& photo) { return !photo.perturbed_by.empty(); }

// Marks perturbed photos by budget.csv, for older manifests.
void mark_by_budget(Dataset& dataset) {
  const fs::path budget = dataset.folder / "budget.csv";
  if (std::any_of(dataset.photos.begin(), dataset.photos.end(), is_perturbed) || !is_own_record(budget)) return;
  const Table table = read_csv(budget);
  const auto id = column(table, "id", budget.string()), attack = column(table, "attack", budget.string()),
             linf = column(table, "linf", budget.string());
  std::map<std::string, std::string> attacks;
  for (const auto& row : table.rows)
    if (as_number(row.at(linf), budget.string()) > 0) attacks[text(row.at(id))] = text(row.at(attack));
  for (auto& photo : dataset.photos)
    if (const auto found = attacks.find(photo.id); found != attacks.end()) photo.perturbed_by = found->second;
}

// perturb.json names the data set that the perturbed photos were made from.
void locate_originals(Dataset& dataset) {
  const fs::path record = dataset.folder / "perturb.json";
  if (std::none_of(dataset.photos.begin(), dataset.photos.end(), is_perturbed) || !is_own_record(record)) return;
  dataset.originals = Spec(read_json(record), record.string()).text("original");
  for (auto& photo : dataset.photos)
    if (is_perturbed(photo)) photo.original = canvas_path(dataset.originals, photo.id);
}

void check_digests(const Dataset& dataset) {
  std::vector<Sealed> canvases;
  for (const auto& photo : dataset.photos) canvases.push_back({photo.path, photo.sha256});
  const fs::path file = dataset.folder / "verified.txt";
  DigestRecord record(file, dataset.folder);
  const auto* altered = first_altered(canvases, record, true);
  if (!fs::exists(file) || is_own_record(file)) record.save();  // else it is another file of that name
  if (!altered) return;
  const auto& photo = dataset.photos[static_cast<std::size_t>(altered - canvases.data())];
  throw Error(Exit::input, concat("photo ", photo.id, " (", photo.path.string(),
                                  "): changed since the data set was made; make it again"));
}

// Counts the duplicates of one kind.
struct Tally {
  std::size_t within = 0, across = 0;
  void add(bool same_person) { ++(same_person ? within : across); }
  std::string text(const char* kind) const {
    return concat(within + across, " ", kind, " (", within, " within and ", across, " across people)");
  }
};

std::string tallied(const Tally& exact, const Tally& near) {
  std::string list;
  for (const auto& [tally, kind] : {std::pair{exact, "exact"}, std::pair{near, "near"}})
    if (tally.within + tally.across > 0) list += (list.empty() ? "" : ", ") + tally.text(kind);
  return list;
}

// Counts test photos with a duplicate among the train photos.
std::size_t twins_in_gallery(const Dataset& dataset) {
  std::set<std::string> of_train;  // ids of the originals
  const auto original = [](const Photo& photo) { return photo.duplicate_of.empty() ? photo.id : photo.duplicate_of; };
  for (const auto& photo : dataset.photos)
    if (photo.train()) of_train.insert(original(photo));
  const auto is_twin = [&](const Photo& photo) { return photo.test() && of_train.count(original(photo)); };
  return static_cast<std::size_t>(std::count_if(dataset.photos.begin(), dataset.photos.end(), is_twin));
}

// Writes the picture's channels one after the other, in [0,1], and returns their end. Uses one thread: LibTorch would
// divide each picture over all cores and wait for them, which takes longer.
float* write_channels(const Image& image, float* to) {
  for (std::size_t channel = 0; channel < 3; ++channel)
    for (auto i = channel; i < image.rgb.size(); i += 3) *to++ = static_cast<float>(image.rgb[i]) / 255;
  return to;
}

}  // namespace

Json points(const std::optional<Landmarks>& landmarks) {
  if (!landmarks) return nullptr;
  Json list = Json::array();
  for (const auto& p : *landmarks) list.push_back({p.x, p.y});
  return list;
}

std::optional<Landmarks> read_points(Spec& line, const std::string& key, std::optional<Json> fallback) {
  const Json points = line.raw(key, fallback);
  if (points.is_null()) return {};
  Landmarks landmarks;
  if (!points.is_array() || points.size() != 5) line.fail(key, "expected five points [x, y], or null");
  for (std::size_t i = 0; i < 5; ++i) {
    const Json& p = points[i];
    if (!p.is_array() || p.size() != 2 || !p[0].is_number() || !p[1].is_number())
      line.fail(key, concat("found ", p.dump(), ", expected [x, y]"));
    landmarks[i] = {p[0].get<double>(), p[1].get<double>()};
    if (std::max(std::abs(landmarks[i].x), std::abs(landmarks[i].y)) > farthest_place)
      line.fail(key, concat("found ", p.dump(), ", expected a place in a picture"));
  }
  return landmarks;
}

bool is_exact_duplicate(const Photo& a, const Photo& b) {
  return a.source_sha256 == b.source_sha256 && a.source_landmarks == b.source_landmarks;
}

std::string tools_note(std::size_t files) {
  return concat("files that tools left beside their originals, left out: ", files);
}

std::vector<std::string> duplicate_notes(const Dataset& dataset) {
  std::map<std::string, const Photo*> by_id;
  for (const auto& photo : dataset.photos) by_id[photo.id] = &photo;
  const auto is_of = [&](const std::string& person, const std::string& original) {
    const auto found = by_id.find(original);
    return found != by_id.end() && found->second->person == person;
  };
  Tally exact, near, kept_exact, kept_near;
  std::size_t of_tools = 0, tests = 0;
  for (const auto& row : rejected_of(dataset.folder).rows) {
    const std::string person = text(row.at(1)), reason = text(row.at(2));
    for (const auto& [start, tally] : {std::pair{exact_duplicate_of, &exact}, std::pair{near_duplicate_of, &near}})
      if (reason.starts_with(start)) tally->add(is_of(person, reason.substr(start.size())));
    of_tools += reason == of_a_tool;
  }
  for (const auto& photo : dataset.photos) {
    tests += photo.test();
    if (photo.duplicate_of.empty()) continue;
    const auto original = by_id.find(photo.duplicate_of);
    const bool is_exact = original != by_id.end() && is_exact_duplicate(photo, *original->second);
    (is_exact ? kept_exact : kept_near).add(is_of(photo.person, photo.duplicate_of));
  }
  std::vector<std::string> notes;
  if (const auto list = tallied(exact, near); !list.empty()) notes.push_back("duplicates dropped: " + list);
  if (const auto list = tallied(kept_exact, kept_near); !list.empty())
    notes.push_back(concat("duplicates kept: ", list, "; ", twins_in_gallery(dataset), " of ", tests,
                           " test photos have a twin in the gallery"));
  if (of_tools > 0) notes.push_back(tools_note(of_tools));
  return notes;
}

std::string several_faces_note(const Dataset& dataset) {
  const fs::path file = dataset.folder / "prepare.json";
  if (!is_own_record(file)) return "";
  Spec record(read_json(file), file.string());
  const auto photos = record.integer("several_faces", 0, std::numeric_limits<std::int64_t>::max(), 0);
  if (photos == 0) return "";
  return concat("photos that show several faces: ", photos, "; the ", record.text("face"), " one is used");
}

std::vector<std::string> Dataset::people() const {
  std::vector<std::string> names;
  for (const auto& photo : photos) names.push_back(photo.person);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

fs::path canvas_path(const fs::path& folder, const std::string& id) { return folder / "canvas" / (id + ".png"); }

Photo before_attacks(const Photo& photo) {
  if (!is_perturbed(photo)) return photo;
  Photo before = photo;
  before.path = photo.original;
  before.sha256 = photo.original_sha256;
  before.perturbed_by.clear();
  std::error_code none;
  if (!fs::is_regular_file(before.path, none) || !same_digest(sha256_of_file(before.path), before.sha256))
    throw Error(Exit::input,
                concat("photo ", photo.id, " was perturbed by ", photo.perturbed_by, ", and its original is not ",
                       before.path.empty() ? "known" : "in " + before.path.string(),
                       ": the total change by a second attack cannot be measured; perturb clean photos, "
                       "or restore the data set of the originals"));
  return before;
}

std::vector<Photo> before_attacks(std::span<const Photo> photos) {
  std::vector<Photo> before;
  for (const auto& photo : photos) before.push_back(before_attacks(photo));
  return before;
}

bool is_dataset(const fs::path& path) {
  return path.filename() == "manifest.jsonl" ? fs::exists(path) : fs::exists(path / "manifest.jsonl");
}

Dataset read_dataset(const fs::path& path, bool check_canvases) {
  const fs::path manifest = fs::absolute(path.filename() == "manifest.jsonl" ? path : path / "manifest.jsonl");
  Dataset dataset;
  dataset.folder = manifest.parent_path();
  const std::string bytes = read_file(manifest);
  dataset.manifest_sha256 = sha256(bytes);
  try {
    read_photos(bytes, manifest.string(), dataset);
    mark_by_budget(dataset);
    locate_originals(dataset);
  } catch (const Error& error) {
    stop_if_interrupted();                   // not an error of the manifest
    throw Error(Exit::input, error.what());  // any error in a manifest is one of the input
  }
  if (dataset.photos.empty()) throw Error(Exit::input, concat(manifest.string(), ": no photos"));
  dataset.rejected = rejected_of(dataset.folder).rows.size();
  if (check_canvases) check_digests(dataset);
  return dataset;
}

void write_dataset(const fs::path& folder, const std::vector<Photo>& photos, int side, const Table& rejected) {
  std::string lines;
  for (const auto& photo : photos) lines += to_json(photo, side, folder).dump() + "\n";
  write_file(folder / "rejected.csv", print(rejected, Format::csv));
  write_file(folder / "manifest.jsonl", lines);  // last: with it the data set is whole
}

Faces Faces::to(torch::Device device) const {
  Faces out = *this;
  out.pixels = pixels.to(device);
  if (landmarks.defined()) out.landmarks = landmarks.to(device);
  return out;
}

torch::Tensor to_tensor(const Image& image) {
  auto pixels = torch::empty({1, 3, image.height, image.width});
  write_channels(image, pixels.data_ptr<float>());
  return pixels;
}

Image to_image(const torch::Tensor& pixels) {
  const auto chw = pixels.dim() == 4 ? pixels.squeeze(0) : pixels;
  const auto bytes =
      chw.detach().to(torch::kCPU).mul(255).round().clamp(0, 255).to(torch::kUInt8).permute({1, 2, 0}).contiguous();
  const auto* data = bytes.data_ptr<std::uint8_t>();
  return {static_cast<int>(bytes.size(1)), static_cast<int>(bytes.size(0)), {data, data + bytes.numel()}};
}

Image read_canvas(const Photo& photo) {
  try {
    const std::string bytes = read_file(photo.path);
    if (!same_digest(sha256(bytes), photo.sha256))
      throw Error(Exit::input, "changed since the data set was made; make it again");
    return decode_image(bytes, Exif::ignore);
  } catch (const Error& error) {
    throw Error(Exit::input, concat("photo ", photo.id, " (", photo.path.string(), "): ", error.what()));
  }
}

torch::Tensor landmarks_of(std::span<const Photo> photos) {
  std::vector<double> points;
  for (const auto& photo : photos)
    if (photo.landmarks)
      for (const auto& p : *photo.landmarks) points.insert(points.end(), {p.x, p.y});
  if (!points.empty() && points.size() != photos.size() * 10)
    throw Error(Exit::input, "photos with and without landmarks cannot be mixed");
  return points.empty() ? torch::Tensor() : torch::tensor(points, torch::kFloat64).view({-1, 5, 2});
}

Faces load_faces(std::span<const Photo> photos) {
  Faces faces;
  float* next = nullptr;
  for (const auto& photo : photos) {
    const Image image = read_canvas(photo);
    if (!next) {
      faces.pixels = torch::empty({static_cast<std::int64_t>(photos.size()), 3, image.height, image.width});
      next = faces.pixels.data_ptr<float>();
    }
    const auto height = faces.pixels.size(2), width = faces.pixels.size(3);
    if (image.height != height || image.width != width)
      throw Error(Exit::input, concat("photo ", photo.id, " (", photo.path.string(), ") is ", image.width, "×",
                                      image.height, " pixels; the others are ", width, "×", height));
    next = write_channels(image, next);
    faces.ids.push_back(photo.id);
    faces.people.push_back(photo.person);
  }
  faces.landmarks = landmarks_of(photos);
  return faces;
}

}  // namespace facepoison
