// Checks what is in the store, and removes what is old or not needed.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <tuple>

#include "commands/commands.hpp"
#include "facepoison/config_file.hpp"
#include "facepoison/experiment.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/log.hpp"
#include "facepoison/training.hpp"

namespace facepoison {
namespace {

double megabytes(std::uintmax_t bytes) { return std::round(static_cast<double>(bytes) / 1e4) / 100; }

std::uintmax_t bytes_of(const std::vector<Artefact>& artefacts) {
  std::uintmax_t bytes = 0;
  for (const auto& artefact : artefacts) bytes += artefact.bytes;
  return bytes;
}

Exit verify(const ArtifactStore& store, const OutputOptions& output) {
  auto all = store.artefacts();
  const auto older = std::erase_if(all, [](const Artefact& artefact) { return artefact.is_of_older_version; });
  Table damaged{{"artefact", "damage"}, {}, {}};
  Progress progress("verify", all.size(), "artefacts");
  for (const auto& artefact : all) {
    stop_if_interrupted();
    const auto damage = store.damage_of(artefact);
    if (!damage.empty()) damaged.add({artefact.folder.lexically_relative(store.root()).string(), damage});
    progress.advance(1);
  }
  const auto bad = damaged.rows.size();
  damaged.notes.push_back(concat(all.size(), " artefacts (", megabytes(bytes_of(all)), " MB) were read, ", bad,
                                 " are damaged", bad ? "; a command that needs one of them makes it again" : ""));
  if (older > 0)
    damaged.notes.push_back(concat(older, " artefacts of an older version were not read; store gc removes them"));
  output.write(damaged);
  return bad ? Exit::input : Exit::ok;
}

// The artefacts that were last used before `then`.
std::vector<Artefact> unused_since(std::vector<Artefact> all, fs::file_time_type then) {
  std::erase_if(all, [&](const Artefact& artefact) { return artefact.used_at >= then; });
  return all;
}

// The least recently used artefacts: without them the others have at most `bytes`.
std::vector<Artefact> beyond(std::vector<Artefact> all, double bytes) {
  const auto later = [](const Artefact& a, const Artefact& b) {
    return std::tie(b.used_at, a.folder) < std::tie(a.used_at, b.folder);
  };
  std::sort(all.begin(), all.end(), later);
  double kept = 0;
  const auto first = std::find_if(all.begin(), all.end(), [&](const Artefact& artefact) {
    return (kept += static_cast<double>(artefact.bytes)) > bytes;
  });
  return {first, all.end()};
}

// Plans what a config's experiment or training takes from the store; only a training's config has the key "start".
void plan_config(const std::string& config, ArtifactStore& store, Plan& plan) {
  const Json keys = read_config(config, {}, [](Json&, const fs::path&) {});
  const std::vector<std::string> any_photos = {"allow_perturbed=true"};  // it may have been an option
  if (!keys.is_object() || !keys.contains("start"))
    return add_to_plan(read_experiment(config, any_photos, true, store), plan);
  const auto protected_by = [&](const fs::path& experiment) { return protected_photos(experiment, store); };
  const auto training = read_training(config, any_photos, true, protected_by, store);
  if (training.data.dataset.prepare) return plan.add(training.data.dataset.prepare);
  for (const auto& stage : stages_of(training)) plan.add(stage);
}

// Names of the artefacts that the configs need. Runs and prepares nothing.
std::set<std::string> needed_by(const std::vector<std::string>& configs, const StoreOption& option) {
  std::set<std::string> names;
  for (const auto& config : configs) {
    auto store = option.open(Access::read);
    Plan plan(store);
    plan_config(config, store, plan);
    const auto& units = plan.units();
    const auto unmade = std::count_if(units.begin(), units.end(), [](const auto& unit) { return !unit.stored; });
    if (unmade > 0)
      log_warning(concat(config, ": ", unmade, " of ", units.size(), " units that it needs are not in the store"));
    names.merge(store.used());
  }
  return names;
}

std::vector<Artefact> without(std::vector<Artefact> all, const std::set<std::string>& needed) {
  std::erase_if(all, [&](const Artefact& artefact) { return needed.count(artefact.folder.filename()); });
  return all;
}

Table by_kind(const std::vector<Artefact>& all, const std::vector<Artefact>& garbage) {
  struct Sum {
    std::int64_t count = 0, garbage = 0;
    std::uintmax_t bytes = 0, garbage_bytes = 0;
  };
  std::map<std::string, Sum> sums;
  for (const auto& artefact : all) {
    ++sums[artefact.kind].count;
    sums[artefact.kind].bytes += artefact.bytes;
  }
  for (const auto& artefact : garbage) {
    ++sums[artefact.kind].garbage;
    sums[artefact.kind].garbage_bytes += artefact.bytes;
  }
  Table table{{"kind", "artefacts", "mb", "going", "going_mb"}, {}, {}};
  for (const auto& [kind, sum] : sums)
    table.add({kind, sum.count, megabytes(sum.bytes), sum.garbage, megabytes(sum.garbage_bytes)});
  return table;
}

// Removes artefacts; returns those that stay, since a process is making or using them.
std::vector<Artefact> remove_all(ArtifactStore& store, const std::vector<Artefact>& garbage) {
  std::vector<Artefact> left;
  Progress progress("gc", garbage.size(), "artefacts");
  for (const auto& artefact : garbage) {
    stop_if_interrupted();
    if (!store.remove(artefact)) left.push_back(artefact);
    progress.advance(1);
  }
  return left;
}

Action verify_command(CLI::App& app) {
  const auto output = std::make_shared<OutputOptions>(app, "markdown");
  const auto store = std::make_shared<StoreOption>(app);
  return [output, store] {
    output->check();
    return verify(store->open(), *output);
  };
}

Action gc_command(CLI::App& app) {
  struct Options {
    double days = -1, gigabytes = -1;
    std::vector<std::string> configs;
    bool remove = false;
  };
  const auto o = std::make_shared<Options>();
  auto* rule = app.add_option_group("what to remove", "one of these");
  rule->require_option(1);
  rule->add_option("--older-than", o->days, "DAYS: artefacts that were not used for this long")
      ->check(number(0, 36500));
  rule->add_option("--keep-size", o->gigabytes,
                   "GB: the least recently used artefacts, until at most this much is left")
      ->check(number(0, 1e9));
  rule->add_option("--needed-by", o->configs,
                   "CONFIG…: all artefacts that these experiments and trainings do not need");
  app.add_flag("--delete", o->remove, "remove them (default: only print what would be removed)");
  const auto output = std::make_shared<OutputOptions>(app, "markdown");
  const auto option = std::make_shared<StoreOption>(app);
  return [o, output, option] {
    output->check({o->configs.begin(), o->configs.end()});
    auto store = option->open();
    const auto all = store.artefacts();  // first: artefacts made meanwhile are not among them
    const auto needed = needed_by(o->configs, *option);
    const auto age = std::chrono::duration_cast<fs::file_time_type::duration>(
        std::chrono::duration<double, std::ratio<86400>>(o->days));
    const auto garbage = !o->configs.empty() ? without(all, needed)
                         : o->days >= 0      ? unused_since(all, fs::file_time_type::clock::now() - age)
                                             : beyond(all, o->gigabytes * 1e9);
    Table table = by_kind(all, garbage);
    table.notes.push_back(concat(megabytes(bytes_of(garbage)), " of ", megabytes(bytes_of(all)), " MB ",
                                 o->remove ? "are removed" : "would be removed; --delete removes them"));
    if (o->remove)
      if (const auto left = remove_all(store, garbage); !left.empty())
        table.notes.push_back(concat(left.size(), " of them stay: they are being made or used"));
    output->write(table);
    return Exit::ok;
  };
}

}  // namespace

Action store_command(CLI::App& app) {
  app.require_subcommand(1);
  auto* verify = app.add_subcommand("verify", "read every artefact and name those that are damaged");
  auto* gc =
      app.add_subcommand("gc", "find artefacts that are old, too many or not needed, and remove them with --delete");
  const auto do_verify = verify_command(*verify), do_gc = gc_command(*gc);
  return [verify, do_verify, do_gc] { return verify->parsed() ? do_verify() : do_gc(); };
}

}  // namespace facepoison
