#include <algorithm>

#include "commands/commands.hpp"
#include "facepoison/log.hpp"
#include "facepoison/npy.hpp"
#include "facepoison/photos.hpp"
#include "facepoison/embeddings.hpp"

namespace facepoison {
namespace {

const std::vector<std::string> columns = {"id", "person", "split"};

// Refuses to replace a file X.csv that embed did not write: the user named only X.npy.
void refuse_foreign_list(const fs::path& ids) {
  std::error_code none;
  if (!fs::is_regular_file(ids, none) || read_csv(ids).columns == columns) return;
  throw Error(Exit::usage, concat("the rows' ids would replace ", ids.string(), ", which is not a list made by ",
                                  "embed (", listed(columns), "); choose another -o"));
}

// The crops of a folder. Where it has no subfolder, its pictures have no person.
PhotoFolder folder_of_crops(const fs::path& path) {
  std::error_code none;
  const fs::directory_iterator entries(path, none);
  if (none || std::any_of(fs::begin(entries), fs::end(entries), [](const auto& one) { return one.is_directory(); }))
    return scan_photos(path);
  PhotoFolder folder;
  folder.root = fs::canonical(path);
  const auto id_of = [&](const fs::path& file) { return file.lexically_relative(folder.root).generic_string(); };
  const auto [usable, rejected] = pictures_below(folder.root);
  for (const auto& file : usable) folder.photos.push_back({id_of(file), "", file});
  for (const auto& [file, reason] : rejected) folder.rejected.push_back({id_of(file), "", reason});
  return folder;
}

}  // namespace

EmbeddedPath embed_path(const fs::path& path, bool ignore_exif, const FeatureExtractor& extractor,
                        const RunOptions& options, ArtifactStore& store) {
  Table names{columns, {}, {}};
  if (is_dataset(path)) {
    if (ignore_exif)
      throw Error(Exit::usage, concat("--ignore-exif: ", path.string(),
                                      " is a data set; its photos were rotated when it was prepared"));
    const Dataset dataset = read_dataset(path);
    for (const auto& photo : dataset.photos) names.add({photo.id, photo.person, split_name(photo.split)});
    return {names, embed(dataset.photos, extractor, options, store)};
  }
  std::vector<PhotoFile> kept;
  Table rejected{{"id", "person", "reason"}, {}, {}};
  const auto folder = folder_of_crops(path);
  if (!folder.of_tools.empty()) log_warning(tools_note(folder.of_tools.size()));
  for (const auto& file : folder.rejected) rejected.add({file.id, file.person, file.reason});
  const auto exif = ignore_exif ? Exif::ignore : Exif::rotate;
  const auto matrix = embed_crops(folder, exif, extractor, options, store, kept, rejected);
  if (kept.empty())
    throw Error(Exit::input, concat(path.string(), ": no photo could be embedded",
                                    rejected.rows.empty() ? "; expected <person>/<photo>.jpg, or photos without folders"
                                                          : "; the first: " + text(rejected.rows[0][0]) + ": " +
                                                                text(rejected.rows[0][2])));
  for (const auto& photo : kept) names.add({photo.id, photo.person, split_name(photo.split)});
  for (const auto& row : rejected.rows) log_warning(concat(text(row[0]), " is left out: ", text(row[2])));
  return {names, matrix};
}

Action embed_command(CLI::App& app) {
  struct Options {
    std::string path, extractor, output;
    bool ignore_exif = false;
  };
  const auto o = std::make_shared<Options>();
  app.add_option("PATH", o->path, "a data set, or a plain folder of crops (person = subfolder)")->required();
  app.add_option("-e,--extractor", o->extractor, "an extractor's name or the path of its card")->required();
  app.add_option("-o,--output", o->output, "X.npy; the rows' ids go to X.csv beside it")->required();
  app.add_flag("--ignore-exif", o->ignore_exif, "do not rotate a folder's crops as their EXIF data says");
  const auto device = std::make_shared<DeviceOptions>(app);
  const auto store = std::make_shared<StoreOption>(app);
  return [o, device, store] {
    const auto options = device->resolve();
    if (fs::path(o->output).extension() != ".npy")
      throw Error(Exit::usage, concat("-o ", o->output, ": expected a name ending in .npy"));
    const fs::path ids = fs::path(o->output).replace_extension(".csv");
    for (const auto& output : {fs::path(o->output), ids}) check_output(output, {o->path, o->extractor});
    refuse_foreign_list(ids);
    const auto extractor = make_extractor(o->extractor, options);
    auto artifacts = store->open();
    const auto [names, matrix] = embed_path(o->path, o->ignore_exif, *extractor, options, artifacts);
    write_npy(o->output, matrix);
    write_file(ids, print(names, Format::csv));
    log_info(concat(matrix.size(0), " embeddings of ", matrix.size(1), " dimensions in ", o->output));
    return Exit::ok;
  };
}

}  // namespace facepoison
