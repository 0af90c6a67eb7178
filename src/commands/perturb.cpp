#include <algorithm>

#include "commands/commands.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/log.hpp"
#include "facepoison/stages.hpp"

namespace facepoison {
namespace {

// The whole data set again: chosen photos perturbed, the others the same files.
void write_perturbed(const Dataset& dataset, const Posted& posted, const fs::path& output) {
  std::map<std::string, const Photo*> perturbed;
  for (const auto& photo : posted.photos) perturbed[photo.id] = &photo;
  std::vector<Photo> photos = dataset.photos;
  for (auto& photo : photos) {
    stop_if_interrupted();
    const auto found = perturbed.find(photo.id);
    const fs::path from = found == perturbed.end() ? photo.path : found->second->path;
    if (found != perturbed.end()) photo.sha256 = found->second->sha256;
    photo.path = output / "canvas" / (photo.id + ".png");
    copy_to(from, photo.path);
  }
  const auto rejected = dataset.folder / "rejected.csv";
  write_file(output / "budget.csv", print(budget_table(posted.budget), Format::csv));
  write_dataset(output, photos, dataset.side,
                fs::exists(rejected) ? read_csv(rejected) : Table{{"id", "person", "reason"}, {}, {}});
}

// How many photos the attack changed, and how many stayed clean, by status.
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
  };
  const auto o = std::make_shared<Options>();
  app.add_option("DATASET", o->dataset, "a data set of prepare")->required();
  app.add_option("--attack", o->attack, "a preset's name or file")->required();
  app.add_option("--surrogates", o->surrogates, "extractors to optimise against, in the place of the preset's")
      ->delimiter(',');
  app.add_option("--set", o->overrides, "KEY=VALUE: another value for one of the preset's keys (repeatable)");
  app.add_option("--people", o->people, "all, or names or patterns (ann-*), separated by commas")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--photos", o->photos, "train, or all")->check(CLI::IsMember({"train", "all"}))->capture_default_str();
  app.add_option("--seed", o->seed, "of the attack's random numbers")->check(whole_number(0))->capture_default_str();
  app.add_option("-o,--output", o->output, "the new data set's folder")->required();
  app.add_option("--trace", o->trace,
                 "CSV file for id, iteration, loss, dssim, similarity of each photo after each step");
  const auto device = std::make_shared<DeviceOptions>(app);
  const auto store = std::make_shared<StoreOption>(app);
  return [o, device, store] {
    check_output(fs::path(o->output) / "manifest.jsonl");
    check_output(o->trace);
    const auto options = device->resolve();
    const auto attack = make_attack(with_overrides(o->attack, o->overrides), options, o->surrogates);
    if (attack->settings().before)
      throw Error(Exit::usage, "perturb: an attack with \"before\" is for eval, where pictures may differ in size");
    const Dataset dataset = read_dataset(o->dataset);
    const fs::path output = fs::absolute(o->output).lexically_normal();
    if (fs::exists(output) && fs::equivalent(output, dataset.folder))
      throw Error(Exit::usage, concat("-o ", o->output, " is the clean data set itself"));
    const auto people = chosen_people(dataset, o->people);
    std::vector<Photo> photos;
    for (const auto& photo : dataset.photos)
      if (people.count(photo.person) && (o->photos == "all" || photo.train())) photos.push_back(photo);
    if (photos.empty())
      throw Error(Exit::input,
                  concat(o->dataset,
                         ": none of the chosen people's photos is a train photo; --photos all takes the others too"));
    auto artifacts = store->open();
    const Posted posted = perturb(photos, dataset.photos, *attack, o->seed, options, artifacts);
    write_perturbed(dataset, posted, output);
    if (!o->trace.empty()) write_file(o->trace, print(read_traces(posted), Format::csv));
    log_info(concat(posted.photos.size(), " photos of ", people.size(), " people went through ", o->attack, " (",
                    what_became(posted), "), ", dataset.photos.size() - posted.photos.size(),
                    " others are as they were; in ", output.string()));
    return Exit::ok;
  };
}

}  // namespace facepoison
