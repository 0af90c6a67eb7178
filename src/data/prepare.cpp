#include "facepoison/prepare.hpp"

#include <algorithm>
#include <optional>

#include "data/duplicates.hpp"
#include "data/prepare_stage.hpp"
#include "facepoison/dataset_folder.hpp"
#include "facepoison/error.hpp"
#include "facepoison/executor.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/log.hpp"
#include "facepoison/memory.hpp"
#include "facepoison/splits.hpp"

namespace facepoison {
namespace {

std::optional<Landmarks> landmarks_of(const Json& points) {
  if (points.is_null()) return {};
  Landmarks landmarks;
  for (std::size_t i = 0; i < 5; ++i) landmarks[i] = {points[i][0].get<double>(), points[i][1].get<double>()};
  return landmarks;
}

Photo photo_of(const PhotoFile& file, const std::string& source_sha256, const Json& row, const fs::path& output) {
  Photo photo{.id = file.id, .person = file.person, .path = canvas_path(output, file.id)};
  photo.perturbed_by = file.perturbed_by;
  photo.sha256 = row["sha256"].get<std::string>();
  photo.source = file.id;
  photo.source_sha256 = source_sha256;
  photo.split = file.split;
  photo.source_width = row["size"][0].get<int>(), photo.source_height = row["size"][1].get<int>();
  photo.landmarks = landmarks_of(row["landmarks"]);
  photo.source_landmarks = landmarks_of(row["source_landmarks"]);
  return photo;
}

// Marks every photo that repeats an earlier one, of any person, and drops it if asked.
void mark_duplicates(std::vector<Photo>& photos, const std::vector<Thumbnail>& thumbnails, bool drop, Table& rejected) {
  const auto originals = find_originals(photos, thumbnails);
  for (std::size_t i = 0; i < photos.size(); ++i) {
    if (originals[i] == i) continue;
    Photo &photo = photos[i], &original = photos[originals[i]];
    photo.duplicate_of = original.id;
    const auto& reason = is_exact_duplicate(photo, original) ? exact_duplicate_of : near_duplicate_of;
    if (drop) rejected.add({photo.id, photo.person, reason + original.id});
  }
  if (drop) std::erase_if(photos, [](const Photo& photo) { return !photo.duplicate_of.empty(); });
}

// Splits as the folder does, or by the rule.
void split(std::vector<Photo>& photos, const PrepareOptions& options) {
  if (std::any_of(photos.begin(), photos.end(), [](const Photo& photo) { return photo.split != Split::none; })) return;
  std::vector<std::string> people;
  for (const auto& photo : photos) people.push_back(photo.person);
  const auto& rule = options.split_rule;
  const auto sides = rule == "facecure" ? facecure_split(people)
                     : rule == "sorted" ? sorted_split(people, options.train_share)
                                        : seeded_split(people, options.train_share, options.seed);
  for (std::size_t i = 0; i < photos.size(); ++i) photos[i].split = sides[i];
}

// Keeps a person's first photos.
void keep_first(PhotoFolder& folder, std::int64_t photos_per_person) {
  if (photos_per_person == 0) return;
  std::map<std::string, std::int64_t> kept;
  std::erase_if(folder.photos, [&](const PhotoFile& photo) { return ++kept[photo.person] > photos_per_person; });
}

// The folder without the photos that were not chosen.
PhotoFolder only_chosen(PhotoFolder folder, const PrepareOptions& options) {
  keep_first(folder, options.photos_per_person);
  if (options.people == std::vector<std::string>{"all"}) return folder;
  std::set<std::string> people;
  for (const auto& photo : folder.photos) people.insert(photo.person);
  for (const auto& file : folder.rejected) people.insert(file.person);
  const auto chosen = match_people({people.begin(), people.end()}, options.people);
  for (auto* list : {&folder.photos, &folder.of_tools})
    std::erase_if(*list, [&](const PhotoFile& photo) { return !chosen.count(photo.person); });
  std::erase_if(folder.rejected, [&](const RejectedFile& file) { return !chosen.count(file.person); });
  folder.empty_people.clear();
  return folder;
}

[[noreturn]] void refuse_empty(const PhotoFolder& folder) {
  const auto& rejected = folder.rejected;
  throw Error(Exit::input,
              concat(folder.root.string(), ": no photos; ",
                     rejected.empty() ? "expected <person>/<photo>.jpg or <person>/face/<photo>.jpg"
                                      : concat("the first rejected: ", rejected[0].id, ": ", rejected[0].reason)));
}

// The files of a data set of these photos, except its manifest.
template <class Photos>
std::set<std::string> files_of(const Photos& photos) {
  std::set<std::string> files = {"rejected.csv", "prepare.json"};
  for (const auto& photo : photos) files.insert(canvas_path("", photo.id).generic_string());
  return files;
}

// `in_store`: `output` is an artefact's folder, without other files.
Dataset prepare_into(const fs::path& output, const PhotoFolder& folder, const PrepareOptions& options, bool in_store,
                     ArtifactStore& store) {
  if (folder.photos.empty()) refuse_empty(folder);
  const auto stage = std::make_shared<PrepareStage>(folder, options, store);
  Table rejected{{"id", "person", "reason"}, {}, {}};
  std::vector<Photo> photos;
  std::vector<Thumbnail> thumbnails;
  std::map<std::string, fs::path> made_canvas;  // in the store, by id
  std::size_t several_faces = 0;                // photos that show them
  for (const auto& person : folder.empty_people) {
    log_warning(concat("person ", person, " has no photos"));
    rejected.add({person + "/", person, "no photos in this folder"});
  }
  for (const auto& file : folder.rejected) rejected.add({file.id, file.person, file.reason});
  for (const auto& photo : folder.of_tools) rejected.add({photo.id, photo.person, of_a_tool});
  Executor(store).run(stage);
  for (std::size_t u = 0; u < stage->units().size(); ++u) {
    stop_if_interrupted();
    if (u % 64 == 0) give_memory_back();  // parsed JSON leaves holes in memory
    const auto& unit = stage->units()[u];
    const auto made_in = store.path(unit.id);
    const Json rows = read_json(made_in / "rows.json");
    for (std::size_t i = 0; i < unit.count; ++i) {
      const auto& file = folder.photos[unit.first + i];
      if (!rows[i]["refused"].is_null()) {
        rejected.add({file.id, file.person, rows[i]["refused"].get<std::string>()});
        continue;
      }
      photos.push_back(photo_of(file, stage->hash(unit.first + i), rows[i], output));
      thumbnails.push_back(rows[i]["thumbnail"].get<Thumbnail>());
      made_canvas[file.id] = made_in / concat(i, ".png");
      several_faces += rows[i]["faces"].get<std::size_t>() > 1;
    }
  }
  mark_duplicates(photos, thumbnails, options.drop_duplicates, rejected);
  if (photos.empty())
    throw Error(Exit::input, concat(folder.root.string(),
                                    ": every photo was rejected; the first: ", text(rejected.rows.at(0).at(2))));
  split(photos, options);
  std::optional<DatasetFolder> written;
  if (!in_store) written.emplace(output, files_of(photos));
  for (const auto& photo : photos) {
    stop_if_interrupted();
    copy_to(made_canvas[photo.id], photo.path);
  }
  std::sort(rejected.rows.begin(), rejected.rows.end());
  const Json record = {{"photos", folder.root.string()},
                       {"options", options.record()},
                       {"detector", stage->detector_sha256()},
                       {"several_faces", several_faces},
                       {"face", stage->face_rule()}};
  write_file(output / "prepare.json", record.dump(1) + "\n");
  if (written) written->settle();
  write_dataset(output, photos, options.canvas, rejected);
  if (written) written->finish();
  const Dataset dataset = read_dataset(output, !in_store);
  for (const auto& note : duplicate_notes(dataset)) log_warning(note);
  if (const auto note = several_faces_note(dataset); !note.empty()) log_info(note);
  return dataset;
}

}  // namespace

PrepareOptions PrepareOptions::of_config(Spec& config) {
  if (config.has("prepare")) {
    Spec prepare = config.object("prepare");
    return from(prepare);
  }
  config.raw("prepare", Json::object());
  return {};
}

PrepareOptions PrepareOptions::from(Spec& spec) {
  PrepareOptions options;
  options.detect = spec.flag("detect", options.detect);
  options.canvas = static_cast<int>(spec.integer("canvas", 16, 4096, canvas_side));
  options.split_rule = spec.choice("split_rule", {"seeded", "facecure", "sorted"}, options.split_rule);
  options.train_share = spec.number("split", 0, 1, options.train_share);
  options.seed = static_cast<Seed>(spec.integer("seed", 0, std::numeric_limits<std::int64_t>::max(), 0));
  options.drop_duplicates = spec.flag("drop_duplicates", options.drop_duplicates);
  options.people = spec.texts("people", options.people);
  options.face = spec.choice("face", face_rules, options.face);
  options.photos_per_person = spec.integer("photos_per_person", 0, std::numeric_limits<std::int64_t>::max(), 0);
  return options;
}

Json PrepareOptions::record() const {
  return {{"detect", detect},     {"canvas", canvas}, {"split_rule", split_rule},
          {"split", train_share}, {"seed", seed},     {"drop_duplicates", drop_duplicates},
          {"people", people},     {"face", face},     {"photos_per_person", photos_per_person}};
}

void require_apart(const fs::path& photos, const fs::path& output) {
  if (is_below(output, photos))
    throw Error(Exit::usage, concat("-o ", output.string(), " is inside the folder of photos ", photos.string(),
                                    ", so canvases would become photos; choose another folder"));
  if (is_below(photos, output / "canvas"))
    throw Error(Exit::usage, concat("-o ", output.string(), " is the data set of ", photos.string(),
                                    " and would be overwritten; choose another folder"));
}

Dataset prepare(const PhotoFolder& everybody, const fs::path& output, const PrepareOptions& options,
                ArtifactStore& store) {
  const PhotoFolder folder = only_chosen(everybody, options);
  require_apart(folder.root, output);
  require_dataset_folder(output, files_of(folder.photos));
  require_clean(folder.root, perturbed_note(folder.photos), options.allow_perturbed);
  return prepare_into(output, folder, options, false, store);
}

Dataset dataset_of(const fs::path& path, const PrepareOptions& options, ArtifactStore& store) {
  if (is_dataset(path)) return read_dataset(path);
  const PhotoFolder folder = only_chosen(scan_photos(path), options);
  Json blocks = Json::array(), ids = Json::array(), of_tools = Json::array();
  const auto stage = std::make_shared<PrepareStage>(folder, options, store);
  for (const auto& unit : stage->units()) blocks.push_back(unit.id.name);
  for (const auto& photo : folder.photos) ids.push_back(photo.id);
  std::string rejected;
  for (const auto& file : folder.rejected) rejected += concat(file.id, "\n", file.reason, "\n");
  for (const auto& photo : folder.of_tools) of_tools.push_back(photo.id);
  Json key = {{"format", 6},
              {"ids", ids},
              {"options", options.record()},
              {"empty", folder.empty_people},
              {"rejected", sha256(rejected)},
              {"of_tools", of_tools},
              {"blocks", blocks}};
  if (!perturbed_note(folder.photos).empty())
    for (const auto& photo : folder.photos) key["perturbed_by"].push_back(photo.perturbed_by);
  if (!store.may_write()) {
    const auto found = store.find(id_of("dataset", key));
    return found ? read_dataset(*found, false) : Dataset{.folder = path, .prepare = stage};
  }
  const auto made =
      store.get_or_make("dataset", key, [&](const fs::path& at) { prepare_into(at, folder, options, true, store); });
  return read_dataset(made, false);  // the store has checked its files
}

}  // namespace facepoison
