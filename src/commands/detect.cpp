#include "commands/commands.hpp"
#include "facepoison/embeddings.hpp"

namespace facepoison {

Action detect_command(CLI::App& app) {
  struct Options {
    std::string path, detector;
    bool ignore_exif = false;
  };
  const auto o = std::make_shared<Options>();
  app.add_option("PATH", o->path, "a data set, or a plain folder of crops (person = subfolder)")->required();
  app.add_option("-d,--detector", o->detector, "a cloak detector's name or the path of its card")->required();
  app.add_flag("--ignore-exif", o->ignore_exif, "do not rotate a folder's crops as their EXIF data says");
  const auto output = std::make_shared<OutputOptions>(app, "csv");
  const auto device = std::make_shared<DeviceOptions>(app);
  const auto store = std::make_shared<StoreOption>(app);
  return [o, output, device, store] {
    output->check({o->path, o->detector});
    const auto options = device->resolve();
    const auto detector = make_cloak_detector(o->detector, options);
    auto artifacts = store->open();
    const auto [names, logits] = embed_path(o->path, o->ignore_exif, *detector, options, artifacts);
    const auto scores = scores_of(logits);
    Table table{{"id", "person", "score", "perturbed"}, {}, {}};
    for (std::size_t i = 0; i < scores.size(); ++i)
      table.add({names.rows[i][0], names.rows[i][1], scores[i],
                 static_cast<std::int64_t>(scores[i] >= detector->card().threshold)});
    output->write(table);
    return Exit::ok;
  };
}

}  // namespace facepoison
