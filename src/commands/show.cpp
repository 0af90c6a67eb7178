#include <cstdio>

#include "commands/commands.hpp"
#include "facepoison/log.hpp"
#include "facepoison/prepare.hpp"
#include "facepoison/sheet.hpp"
#include "facepoison/stages.hpp"

namespace facepoison {
namespace {

constexpr double difference_factor = 8;

Image picture_of(const Photo& photo) { return decode_image(read_file(photo.path), Exif::ignore); }

// The first `count` photos of each chosen person: of the train photos where only those get perturbed.
std::vector<Photo> first_photos(const Dataset& dataset, const std::set<std::string>& people, std::size_t count, bool train_only) {
  std::map<std::string, std::size_t> taken;
  std::vector<Photo> photos;
  for (const auto& photo : dataset.photos)
    if (people.count(photo.person) && (photo.train() || !train_only) && taken[photo.person]++ < count) photos.push_back(photo);
  if (photos.empty()) throw Error(Exit::input, concat(dataset.folder.string(), ": none of the chosen people has a ", train_only ? "train " : "", "photo"));
  return photos;
}

std::vector<std::vector<Tile>> rows_of_people(std::span<const Photo> photos) {
  std::vector<std::vector<Tile>> rows;
  for (std::size_t i = 0; i < photos.size(); ++i) {
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

// original | perturbed | difference | perturbed | difference …, a row a photo.
std::vector<std::vector<Tile>> strips(std::span<const Photo> photos, const std::vector<std::string>& names, const std::vector<Album>& albums) {
  std::vector<std::vector<Tile>> rows;
  for (std::size_t i = 0; i < photos.size(); ++i) {
    const Image original = picture_of(photos[i]);
    auto& row = rows.emplace_back(std::vector<Tile>{{original, photos[i].id}});
    for (std::size_t k = 0; k < albums.size(); ++k) {
      const Image perturbed = picture_of(albums[k].photos[i]);
      row.push_back({perturbed, budget_label(names[k], albums[k].budget[i])});
      row.push_back({difference_image(original, perturbed, difference_factor), concat("difference x ", difference_factor)});
    }
  }
  return rows;
}

}  // namespace

Action show_command(CLI::App& app) {
  struct Options {
    std::string dataset, output;
    std::vector<std::string> attacks, surrogates, people;
    std::size_t photos = 0;
    int side = 0;
    Seed seed = 0;
  };
  const auto o = std::make_shared<Options>();
  app.add_option("DATASET", o->dataset, "a data set of prepare, or a folder of photos")->required();
  app.add_option("--attack", o->attacks, "presets: strips original | perturbed | difference × 8 around grey, of each person's first train photos")->delimiter(',');
  app.add_option("--surrogates", o->surrogates, "extractors to optimise against, in the place of the presets'")->delimiter(',');
  app.add_option("--people", o->people, "all, or names or patterns (ann-*), separated by commas (default: all; with --attack the first four)")->delimiter(',');
  app.add_option("--photos", o->photos, "photos a person (default: 10; with --attack 1)")->check(CLI::PositiveNumber);
  app.add_option("--side", o->side, "of a picture in the sheet, pixels (default: 96; with --attack the canvas's)")->check(CLI::Range(16, 1024));
  app.add_option("--seed", o->seed, "of the attacks' random numbers")->capture_default_str();
  app.add_option("-o,--output", o->output, "the sheet, .png or .jpg")->required();
  const auto device = std::make_shared<DeviceOptions>(app);
  const auto store = std::make_shared<StoreOption>(app);
  return [o, device, store] {
    encode_image({1, 1, {0, 0, 0}}, o->output);  // a name that cannot be written is refused before the work
    const auto options = device->resolve();
    const bool attacked = !o->attacks.empty();
    std::vector<std::shared_ptr<const Attack>> attacks;
    for (const auto& name : o->attacks) attacks.push_back(make_attack(name, options, o->surrogates));
    auto artifacts = store->open();
    const Dataset dataset = dataset_of(o->dataset, {}, artifacts);
    auto names = o->people;
    if (names.empty()) names = attacked ? dataset.people() : std::vector<std::string>{"all"};
    if (o->people.empty() && attacked && names.size() > 4) names.resize(4);
    const auto photos = first_photos(dataset, chosen_people(dataset, names), o->photos ? o->photos : attacked ? 1 : 10, attacked);
    std::vector<Album> albums;
    for (const auto& attack : attacks) albums.push_back(perturb(photos, dataset.photos, *attack, o->seed, options, artifacts));
    const auto rows = attacked ? strips(photos, o->attacks, albums) : rows_of_people(photos);
    const Image sheet = contact_sheet(rows, o->side ? o->side : attacked ? dataset.side : 96);
    write_file(o->output, encode_image(sheet, o->output));
    log_info(concat(photos.size(), " photos of ", chosen_people(dataset, names).size(), " people, ", sheet.width, "×", sheet.height, " pixels, in ", o->output));
    return Exit::ok;
  };
}

}  // namespace facepoison
