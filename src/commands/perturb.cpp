#include <algorithm>

#include "commands/commands.hpp"
#include "facepoison/config_file.hpp"
#include "facepoison/dataset_folder.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/log.hpp"
#include "facepoison/photos.hpp"
#include "facepoison/posted.hpp"

namespace facepoison {
namespace {

// The files of a data set of the same photos, besides its manifest.
std::set<std::string> files_of(const Dataset& dataset) {
  std::set<std::string> files = {"rejected.csv", "budget.csv", "perturb.json"};
  for (const auto& photo : dataset.photos) files.insert(canvas_path("", photo.id).generic_string());
  return files;
}

// Did the attack change the photo? One that it left as it was keeps its file.
bool is_changed(const Photo& photo, const Photo& posted, const Audit& audit) {
  return photo.perturbed_by.empty() ? audit.linf > 0 : posted.sha256 != photo.sha256;
}

// Writes the whole data set again: chosen photos perturbed, the others as the same files.
void write_perturbed(const Dataset& dataset, const Posted& posted, const Attack& attack, Seed seed,
                     const fs::path& output) {
  std::map<std::string, std::size_t> places;  // among the posted
  for (std::size_t i = 0; i < posted.photos.size(); ++i) places[posted.photos[i].id] = i;
  std::vector<Photo> photos = dataset.photos;
  const DatasetFolder written(output, files_of(dataset));
  for (auto& photo : photos) {
    stop_if_interrupted();
    fs::path from = photo.path;
    if (const auto found = places.find(photo.id); found != places.end()) {
      const auto& perturbed = posted.photos[found->second];
      if (is_changed(photo, perturbed, posted.budget[found->second])) {
        if (photo.perturbed_by.empty()) photo.original_sha256 = photo.sha256;
        photo.perturbed_by += (photo.perturbed_by.empty() ? "" : " + ") + attack.settings().name;
        photo.sha256 = perturbed.sha256;
        from = perturbed.path;
      }
    }
    photo.path = canvas_path(output, photo.id);
    copy_to(from, photo.path);
  }
  const auto rejected = dataset.folder / "rejected.csv";
  write_file(output / "budget.csv", print(budget_table(posted.budget), Format::csv));
  const auto originals = dataset.originals.empty() ? dataset.folder : dataset.originals;
  write_file(output / "perturb.json",
             Json{{"original", originals.string()}, {"attack", attack.settings().name}, {"seed", seed}}.dump(1) + "\n");
  written.settle();
  write_dataset(output, photos, dataset.side,
                fs::exists(rejected) ? read_csv(rejected) : Table{{"id", "person", "reason"}, {}, {}});
  written.finish();
}

// A list of how many photos have each status.
std::string what_became(const Posted& posted) {
  std::map<std::string, std::size_t> counts;
  for (const auto& row : posted.budget) ++counts[row.status];
  std::string list;
  for (const auto& [status, count] : counts)
    list += concat(list.empty() ? "" : ", ", count, " ", status,
                   status == "infeasible" || status == "missing" ? ", kept clean" : "");
  return list;
}

Json with_overrides(const std::string& preset, const std::vector<std::string>& overrides) {
  Json attack = {{"preset", preset}};
  for (const auto& assignment : overrides) set_key(attack, assignment);
  return attack;
}

}  // namespace

Action perturb_command(CLI::App& app) {
  struct Options {
    std::string dataset, attack, output, trace, photos = "train";
    std::vector<std::string> surrogates, overrides, people = {"all"};
    Seed seed = 0;
    bool allow_perturbed = false;
  };
  const auto o = std::make_shared<Options>();
  app.add_option("DATASET", o->dataset, "a data set made by prepare")->required();
  app.add_option("--attack", o->attack, "a preset's name or file")->required();
  app.add_option("--surrogates", o->surrogates, "extractors to optimise against instead of the preset's")
      ->delimiter(',');
  app.add_option("--set", o->overrides, "KEY=VALUE: another value for one of the preset's keys (repeatable)");
  app.add_option("--people", o->people, "all, or names or patterns (ann-*), separated by commas")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--photos", o->photos, "which photos to perturb: train or all")
      ->check(CLI::IsMember({"train", "all"}))
      ->capture_default_str();
  app.add_option("--seed", o->seed, "seed of the attack's random numbers")
      ->check(whole_number(0))
      ->capture_default_str();
  app.add_option("-o,--output", o->output, "the new data set's folder")->required();
  app.add_option("--trace", o->trace,
                 "a CSV file with id, iteration, loss, dssim and similarity of each photo after each step");
  app.add_flag("--allow-perturbed", o->allow_perturbed,
               "perturb photos that are already perturbed; the budget is measured against the original photos");
  const auto device = std::make_shared<DeviceOptions>(app);
  const auto store = std::make_shared<StoreOption>(app);
  return [o, device, store] {
    check_output(fs::path(o->output) / "manifest.jsonl");
    check_output(o->trace, {o->dataset, o->output});
    require_dataset_folder(o->output);
    const auto options = device->resolve();
    const auto attack = make_attack(with_overrides(o->attack, o->overrides), options, o->surrogates);
    if (attack->settings().before)
      throw Error(Exit::usage, "perturb: an attack with \"before\" is for eval, where pictures may differ in size");
    const Dataset dataset = read_dataset(o->dataset);
    const fs::path output = output_folder(o->output);
    std::error_code none;
    for (const auto& clean : {dataset.folder, dataset.originals})
      if (fs::equivalent(output, clean, none))
        throw Error(Exit::usage,
                    concat("-o ", o->output, " is the data set that the photos come from; choose another folder"));
    require_dataset_folder(output, files_of(dataset));
    const auto people = chosen_people(dataset, o->people);
    std::vector<Photo> photos;
    for (const auto& photo : dataset.photos)
      if (people.count(photo.person) && (o->photos == "all" || photo.train())) photos.push_back(photo);
    if (photos.empty())
      throw Error(
          Exit::input,
          concat(o->dataset, ": the chosen people have no train photo; --photos all includes their other photos"));
    require_clean(o->dataset, perturbed_note(photos), o->allow_perturbed);
    auto artifacts = store->open();
    // An attack that aims at other people, or that looks for files by the photos' names, gets everybody's clean photos.
    const auto everybody = attack->wants_companions() ? before_attacks(dataset.photos) : dataset.photos;
    const Posted posted = perturb(photos, everybody, *attack, o->seed, options, artifacts);
    write_perturbed(dataset, posted, *attack, o->seed, output);
    if (!o->trace.empty()) write_file(o->trace, print(read_traces(posted.traces), Format::csv));
    log_info(concat(posted.photos.size(), " photos of ", people.size(), " people went through ", o->attack, " (",
                    what_became(posted), "), ", dataset.photos.size() - posted.photos.size(),
                    " others are unchanged; in ", output.string()));
    return Exit::ok;
  };
}

}  // namespace facepoison
