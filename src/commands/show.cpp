#include <algorithm>
#include <cstdio>

#include "commands/commands.hpp"
#include "facepoison/experiment.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/log.hpp"
#include "facepoison/prepare.hpp"
#include "facepoison/sheet.hpp"
#include "facepoison/posted.hpp"

namespace facepoison {
namespace {

constexpr double difference_factor = 8;

Image picture_of(const Photo& photo) { return decode_image(read_file(photo.path), Exif::ignore); }

// The first `count` photos of each chosen person: only train photos if only those get perturbed.
std::vector<Photo> first_photos(const Dataset& dataset, const std::set<std::string>& people, std::size_t count,
                                bool train_only) {
  std::map<std::string, std::size_t> taken;
  std::vector<Photo> photos;
  for (const auto& photo : dataset.photos)
    if (people.count(photo.person) && (photo.train() || !train_only) && taken[photo.person]++ < count)
      photos.push_back(photo);
  if (photos.empty())
    throw Error(Exit::input, concat(dataset.folder.string(), ": none of the chosen people has a ",
                                    train_only ? "train " : "", "photo"));
  const auto by_person = [](const Photo& a, const Photo& b) { return a.person < b.person; };
  std::stable_sort(photos.begin(), photos.end(), by_person);  // train/ and test/ may have the same people
  return photos;
}

std::vector<std::vector<Tile>> rows_of_people(std::span<const Photo> photos) {
  std::vector<std::vector<Tile>> rows;
  for (std::size_t i = 0; i < photos.size(); ++i) {
    stop_if_interrupted();
    const bool first = i == 0 || photos[i].person != photos[i - 1].person;
    if (first) rows.emplace_back();
    rows.back().push_back({picture_of(photos[i]), first ? photos[i].person : ""});
  }
  return rows;
}

std::string budget_label(const std::string& attack, const Audit& audit) {
  char text[64];
  std::snprintf(text, sizeof text, ": Linf %.0f, %.1f dB", audit.linf, audit.psnr);
  return attack + (audit.linf > 0 ? text : ": " + audit.status);
}

// Photos under one attack.
struct Album {
  std::string name;
  std::shared_ptr<const Attack> attack;
  Seed seed;
  Posted posted;
  // The picture before the perturbation, in the size of the posted one: the photo, or its transform by "before".
  Image seen(const Photo& photo, const Image& original, int side) const {
    const auto& before = attack->settings().before;
    const Image image = before ? (*before)({original, photo.landmarks}, seed, photo.id).image : original;
    return image.width == side ? image : resize_image(image, side, side);
  }
};

// original | perturbed | difference | perturbed | difference …, one row per photo.
std::vector<std::vector<Tile>> strips(std::span<const Photo> photos, const std::vector<Album>& albums) {
  std::vector<std::vector<Tile>> rows;
  for (std::size_t i = 0; i < photos.size(); ++i) {
    stop_if_interrupted();
    const Image original = picture_of(before_attacks(photos[i]));
    auto& row = rows.emplace_back(std::vector<Tile>{{original, photos[i].id}});
    for (const auto& album : albums) {
      const Image perturbed = picture_of(album.posted.photos[i]);
      row.push_back({perturbed, budget_label(album.name, album.posted.budget[i])});
      row.push_back({difference_image(album.seen(photos[i], original, perturbed.width), perturbed, difference_factor),
                     concat("difference x ", difference_factor)});
    }
  }
  return rows;
}

// What a sheet shows: photos, and with attacks the same photos perturbed.
struct Shown {
  std::vector<Photo> photos;
  std::vector<Album> albums;
  int side = 0;  // of a canvas
};

struct Choice {
  std::vector<std::string> people;
  std::size_t photos = 0;
  // The people who were named, else the first few of all.
  std::set<std::string> among(const std::vector<std::string>& all, bool attacked) const {
    if (!people.empty()) return match_people(all, people);
    return {all.begin(), attacked && all.size() > 4 ? all.begin() + 4 : all.end()};
  }
  std::size_t photos_each(bool attacked) const { return photos ? photos : attacked ? 1 : 10; }
};

Shown of_data_set(const Dataset& dataset, const std::vector<std::shared_ptr<const Attack>>& attacks,
                  const Choice& choice, Seed seed, const RunOptions& options, ArtifactStore& store) {
  const bool attacked = !attacks.empty();
  const auto people = choice.among(dataset.people(), attacked);
  Shown shown{first_photos(dataset, people, choice.photos_each(attacked), attacked), {}, dataset.side};
  for (const auto& attack : attacks)
    shown.albums.push_back(
        {attack->settings().name, attack, seed, perturb(shown.photos, dataset.photos, *attack, seed, options, store)});
  return shown;
}

// The pictures that eval measures. If it has run they are in the store, because a picture does not depend on who else
// is protected.
Shown of_experiment(const Experiment& e, const Choice& choice, ArtifactStore& store) {
  Shown shown{{}, {}, e.dataset.side};
  const auto wanted = choice.among(e.protected_people.front(), true);
  std::vector<std::vector<std::string>> people(e.protected_people.size());  // of the first draw
  for (const auto& person : e.protected_people.front())
    if (wanted.count(person)) people.front().push_back(person);
  Study study = study_of(e, people, store);
  const auto& photos = study.photos();
  std::vector<TreatmentId> attacked;
  for (std::size_t t = 1; t < photos.size(); ++t)
    if (photos.treatment(TreatmentId(t)).attack) attacked.emplace_back(t);
  std::map<std::string, std::size_t> taken;
  std::vector<PhotoRow> rows;
  for (const auto& person : people.front())
    for (const auto row : e.train) {
      const auto& photo = e.dataset.photos[row];
      const bool everywhere =
          std::all_of(attacked.begin(), attacked.end(), [&](auto t) { return photos.place(t, row).has_value(); });
      if (photo.person != person || !everywhere || taken[person]++ >= choice.photos_each(true)) continue;
      rows.push_back(row);
      shown.photos.push_back(photo);
    }
  Executor executor(store);
  for (const auto t : attacked) {
    for (const auto& stage : photos.stages(t)) executor.run(stage);
    const auto& [attack, transform, seed, learned_from] = photos.treatment(t);
    const auto name = attack->settings().name + (transform ? ", " + transform->name() : "");
    const auto all = photos.photos(t).resolved(store);
    const auto budget = photos.budget(t, store);
    auto& few = shown.albums.emplace_back(Album{name, attack, seed, {}}).posted;
    for (const auto row : rows) {
      const auto place = *photos.place(t, row);
      few.photos.push_back(all.list()[place]);
      few.budget.push_back(budget[place]);
    }
  }
  return shown;
}

}  // namespace

Action show_command(CLI::App& app) {
  struct Options {
    std::string dataset, config, output;
    std::vector<std::string> overrides, attacks, surrogates;
    Choice choice;
    int side = 0;
    Seed seed = 0;
  };
  const auto o = std::make_shared<Options>();
  std::vector<CLI::Option*> replaced;  // by a config
  const auto of_the_data_set = [&](CLI::Option* option) { replaced.push_back(option); };
  of_the_data_set(app.add_option("DATASET", o->dataset, "a data set made by prepare, or a folder of photos"));
  of_the_data_set(app.add_option("--attack", o->attacks,
                                 "presets: show strips original | perturbed | difference × 8 around grey, of each "
                                 "person's first train photos")
                      ->delimiter(','));
  of_the_data_set(
      app.add_option("--surrogates", o->surrogates, "extractors to optimise against instead of the presets'")
          ->delimiter(','));
  of_the_data_set(app.add_option("--seed", o->seed, "seed of the attacks' random numbers")
                      ->check(whole_number(0))
                      ->capture_default_str());
  auto* config = app.add_option(
      "-c,--config", o->config,
      "an experiment, instead of DATASET: strips of the pictures that eval measures, from the store if eval has run");
  app.add_option("--set", o->overrides, "KEY=VALUE overrides the config's value, as in eval")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->needs(config);
  app.add_option("--people", o->choice.people,
                 "all, or names or patterns (ann-*), separated by commas "
                 "(default: all; with attacks the first four)")
      ->delimiter(',');
  app.add_option("--photos", o->choice.photos, "photos per person (default: 10; with attacks 1)")
      ->check(whole_number(1, 1'000'000));
  app.add_option("--side", o->side,
                 "side of a picture in the sheet, in pixels (default: 96; with attacks the canvas's)")
      ->check(whole_number(16, 1024));
  app.add_option("-o,--output", o->output, "the sheet, .png or .jpg")->required();
  const auto device = std::make_shared<DeviceOptions>(app);
  const auto store = std::make_shared<StoreOption>(app);
  of_the_data_set(app.get_option("--device"));
  of_the_data_set(app.get_option("--precision"));
  for (auto* option : replaced) config->excludes(option);
  return [o, device, store] {
    encode_image({1, 1, {0, 0, 0}}, o->output);  // a name that cannot be written is refused before the work
    check_output(o->output, {o->dataset, o->config});
    if (o->dataset.empty() && o->config.empty()) throw Error(Exit::usage, "show needs a DATASET or --config");
    auto artifacts = store->open();
    Shown shown;
    if (!o->config.empty()) {
      const Experiment e = read_experiment(o->config, o->overrides, device->trust_model, artifacts);
      shown = of_experiment(e, o->choice, artifacts);
    } else {
      const auto options = device->resolve();
      std::vector<std::shared_ptr<const Attack>> attacks;
      for (const auto& name : o->attacks) attacks.push_back(make_attack(name, options, o->surrogates));
      shown = of_data_set(dataset_of(o->dataset, {}, artifacts), attacks, o->choice, o->seed, options, artifacts);
    }
    const bool attacked = !shown.albums.empty();
    const auto rows = attacked ? strips(shown.photos, shown.albums) : rows_of_people(shown.photos);
    const Image sheet = contact_sheet(rows, o->side ? o->side : attacked ? shown.side : 96);
    write_file(o->output, encode_image(sheet, o->output));
    std::set<std::string> people;
    for (const auto& photo : shown.photos) people.insert(photo.person);
    log_info(concat(shown.photos.size(), " photos of ", people.size(), " people, ", sheet.width, "×", sheet.height,
                    " pixels, in ", o->output));
    return Exit::ok;
  };
}

}  // namespace facepoison
