#include "commands/commands.hpp"
#include "facepoison/log.hpp"
#include "facepoison/npy.hpp"
#include "facepoison/stages.hpp"

namespace facepoison {
Action embed_command(CLI::App& app) {
  struct Options {
    std::string path, extractor, output;
    bool ignore_exif = false;
  };
  const auto o = std::make_shared<Options>();
  app.add_option("PATH", o->path, "a data set, or a plain folder of crops (person = subfolder)")->required();
  app.add_option("-e,--extractor", o->extractor, "an extractor's name or the path of its card")->required();
  app.add_option("-o,--output", o->output, "X.npy; the rows' ids go to X.csv beside it")->required();
  app.add_flag("--ignore-exif", o->ignore_exif,
               "leave a folder's crops as their pixels lie (default: turned as EXIF says)");
  const auto device = std::make_shared<DeviceOptions>(app);
  const auto store = std::make_shared<StoreOption>(app);
  return [o, device, store] {
    const auto options = device->resolve();
    if (fs::path(o->output).extension() != ".npy")
      throw Error(Exit::usage, concat("-o ", o->output, ": expected a name ending in .npy"));
    const fs::path ids = fs::path(o->output).replace_extension(".csv");
    for (const auto& output : {fs::path(o->output), ids}) refuse_to_replace(output, {o->path, o->extractor});
    const auto extractor = make_extractor(o->extractor, options);
    Table names{{"id", "person", "split"}, {}, {}};
    torch::Tensor matrix;
    if (is_dataset(o->path)) {
      if (o->ignore_exif)
        throw Error(Exit::usage, concat("--ignore-exif: ", o->path, " is a data set, whose photos were turned then"));
      const Dataset dataset = read_dataset(o->path);
      auto artifacts = store->open();
      matrix = embed(dataset.photos, *extractor, options, artifacts);
      for (const auto& photo : dataset.photos) names.add({photo.id, photo.person, photo.split});
    } else {
      std::vector<PhotoFile> kept;
      Table rejected{{"id", "person", "reason"}, {}, {}};
      const auto folder = scan_photos(o->path);
      if (!folder.of_tools.empty()) log_warning(tools_note(folder.of_tools.size()));
      for (const auto& file : folder.rejected) rejected.add({file.id, file.person, file.reason});
      matrix = embed_crops(folder, o->ignore_exif ? Exif::ignore : Exif::rotate, *extractor, options, kept, rejected);
      if (kept.empty())
        throw Error(Exit::input, concat(o->path, ": no photo could be embedded",
                                        rejected.rows.empty() ? "; expected <person>/<photo>.jpg"
                                                              : "; the first: " + text(rejected.rows[0][0]) + ": " +
                                                                    text(rejected.rows[0][2])));
      for (const auto& photo : kept) names.add({photo.id, photo.person, ""});
      for (const auto& row : rejected.rows) log_warning(concat(text(row[0]), " is left out: ", text(row[2])));
    }
    write_npy(o->output, matrix);
    write_file(ids, print(names, Format::csv));
    log_info(concat(matrix.size(0), " embeddings of ", matrix.size(1), " dimensions in ", o->output));
    return Exit::ok;
  };
}

}  // namespace facepoison
