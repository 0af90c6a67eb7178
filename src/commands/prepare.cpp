#include "commands/commands.hpp"
#include "facepoison/dataset_folder.hpp"
#include "facepoison/log.hpp"
#include "facepoison/prepare.hpp"

namespace facepoison {

Action prepare_command(CLI::App& app) {
  struct Options {
    std::string photos, output;
    PrepareOptions prepare;
    bool no_detect = false, keep_duplicates = false, drop_duplicates = false;
  };
  const auto o = std::make_shared<Options>();
  app.add_option(
         "PHOTOS", o->photos,
         "a folder of photos: <person>/<photo>.jpg or <person>/face/<photo>.jpg, optionally below train/ and val/")
      ->required();
  app.add_option("-o,--output", o->output, "the data set's folder")->required();
  app.add_flag("--no-detect", o->no_detect, "the photos are crops: squash each to the canvas without alignment");
  app.add_option("--canvas", o->prepare.canvas,
                 "side of the canvas in pixels; 112 with --no-detect is the paper's geometry")
      ->check(whole_number(16, 4096))
      ->capture_default_str();
  app.add_option("--split-rule", o->prepare.split_rule,
                 "seeded, facecure (the paper's code), or sorted (each person's first photos)")
      ->check(CLI::IsMember({"seeded", "facecure", "sorted"}))
      ->capture_default_str();
  app.add_option("--split", o->prepare.train_share,
                 "share of a person's photos that the trainer has (seeded); 0: none, 1: all")
      ->check(number(0, 1))
      ->capture_default_str();
  app.add_option("--seed", o->prepare.seed, "seed of the seeded split")->check(whole_number(0))->capture_default_str();
  auto* keep = app.add_flag("--keep-duplicates", o->keep_duplicates,
                            "keep and flag photos that repeat an earlier one, exactly or nearly");
  app.add_flag("--drop-duplicates", o->drop_duplicates, "drop them; the one with the lowest id stays (default)")
      ->excludes(keep);
  app.add_option("--people", o->prepare.people, "all, or names or patterns (ann-*), separated by commas")
      ->delimiter(',');
  app.add_option("--face", o->prepare.face,
                 "which face of a photo with several: prominent (large and near the middle), middle, or auto (middle "
                 "if all photos are named like LFW's, else prominent)")
      ->check(CLI::IsMember(face_rules))
      ->capture_default_str();
  app.add_option("--photos-per-person", o->prepare.photos_per_person,
                 "use at most this many photos of each person, the first by name; 0: all")
      ->check(whole_number(0))
      ->capture_default_str();
  app.add_flag("--allow-perturbed", o->prepare.allow_perturbed,
               "accept the perturbed canvases of a data set that perturb made; the new data set marks them too");
  const auto store = std::make_shared<StoreOption>(app);
  return [o, store] {
    o->prepare.detect = !o->no_detect;
    o->prepare.drop_duplicates = !o->keep_duplicates;
    check_output(fs::path(o->output) / "manifest.jsonl");
    require_apart(o->photos, o->output);
    require_dataset_folder(o->output);
    const auto folder = scan_photos(o->photos);
    auto artifacts = store->open();
    const Dataset dataset = prepare(folder, output_folder(o->output), o->prepare, artifacts);
    const auto tests =
        std::count_if(dataset.photos.begin(), dataset.photos.end(), [](const Photo& photo) { return photo.test(); });
    log_info(concat(dataset.photos.size(), " photos of ", dataset.people().size(), " people (", tests, " test), ",
                    dataset.rejected, " rejected, in ", dataset.folder.string()));
    return Exit::ok;
  };
}

}  // namespace facepoison
