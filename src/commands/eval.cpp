#include <regex>

#include "commands/commands.hpp"
#include "facepoison/expect.hpp"
#include "facepoison/experiment.hpp"
#include "facepoison/log.hpp"

namespace facepoison {
namespace {

// Makes <folder's parent>/latest a link to the folder, atomically.
void link_latest(const fs::path& folder) {
  const fs::path link = folder.parent_path() / "latest", temporary = temporary_name(folder.parent_path());
  std::error_code error, ignored;
  fs::create_directory_symlink(folder.filename(), temporary, error);
  if (!error) fs::rename(temporary, link, error);
  if (!error) return;
  fs::remove(temporary, ignored);
  log_warning(
      concat(link.string(), " does not point to this run (", error.message(), "): the run is in ", folder.string()));
}

// Quotes a word for a shell.
std::string for_shell(const std::string& word) {
  static const std::regex plain("[A-Za-z0-9_./=:,%+@-]+");
  if (std::regex_match(word, plain)) return word;
  std::string quoted = "'";
  for (const char letter : word) quoted += letter == '\'' ? "'\\''" : std::string(1, letter);
  return quoted + "'";
}

// The command that repeats the run.
std::string command_of(const std::string& config, const std::vector<std::string>& overrides) {
  std::string command = concat("facepoison eval --config ", for_shell(config));
  for (const auto& override : overrides) command += concat(" --set ", for_shell(override));
  return command;
}

Json json_of(const std::vector<PlannedUnit>& units) {
  Json list = Json::array();
  for (const auto& unit : units)
    list.push_back({{"arrow", unit.id.kind},
                    {"id", unit.id.name},
                    {"stored", unit.stored},
                    {"seconds", unit.stored ? 0 : unit.seconds},  // NaN is written as null
                    {"needs", unit.needs}});
  return list;
}

}  // namespace

Action eval_command(CLI::App& app) {
  struct Options {
    std::string config, run_folder;
    std::vector<std::string> overrides, expected;
    std::string expect_file;
    bool dry_run = false, strict = false, trust_model = false, allow_perturbed = false;
  };
  const auto o = std::make_shared<Options>();
  app.add_option("-c,--config", o->config, "the experiment, JSON")->required();
  app.add_option("--set", o->overrides, "KEY=VALUE overrides the config's value; VALUE is JSON or else a text")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_flag("--dry-run", o->dry_run, "check everything and print the planned rows");
  app.add_flag("--strict", o->strict, "fail if an extractor's weights are missing, even if the config would skip it");
  app.add_option("--run-dir", o->run_folder,
                 "the run's folder (default: runs/<config's name>/<hash>/, with a link latest beside it)");
  app.add_option("--expect", o->expected,
                 "COLUMN[key=value,…] OP NUMBER: exit with 5 unless the table's rows meet this condition (repeatable)")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--expect-file", o->expect_file, "a file with such conditions, one per line");
  app.add_flag("--trust-model", o->trust_model,
               "run the config's model files even if their sha256 is not pinned (model files are code)");
  app.add_flag("--allow-perturbed", o->allow_perturbed,
               "treat a data set's perturbed photos as clean; a note under the table says how many there are");
  const auto output = std::make_shared<TableOutput>(app);
  const auto store = std::make_shared<StoreOption>(app);
  // --expect is not excluded: submit.sh passes all options to the workers and to the eval that follows them.
  const auto worker = std::make_shared<WorkerOptions>(
      app, std::vector<std::string>{"--dry-run", "--run-dir", "--format", "--output", "--long"});
  return [o, output, store, worker] {
    Part part = worker->part();
    output->check({o->config, o->expect_file});
    // The name of the default folder depends on the config's hash; the name of its parent on the config's name.
    const auto above = fs::path("runs") / fs::path(o->config).stem();
    if (!o->dry_run && !worker->is_on)
      check_output((o->run_folder.empty() ? above : fs::path(o->run_folder)) / "run.json");
    auto expectations = o->expect_file.empty() ? std::vector<Expectation>{} : read_expectations(o->expect_file);
    for (const auto& text : o->expected) expectations.push_back(parse_expectation(text));
    auto artifacts = store->open(o->dry_run ? Access::read : Access::write);
    if (o->allow_perturbed) o->overrides.push_back("allow_perturbed=true");
    if (o->strict) o->overrides.push_back("absent=refuse");
    Experiment experiment = read_experiment(o->config, o->overrides, o->trust_model, artifacts, expectations);
    experiment.command = command_of(o->config, o->overrides);
    if (o->dry_run) {
      Plan work(artifacts);
      add_to_plan(experiment, work);
      const Table planned = plan(experiment, work.units());
      output->write(output->is_for_reading() ? for_reading(planned) : planned, {{"units", json_of(work.units())}});
      return Exit::ok;
    }
    if (worker->is_on) {
      part.elsewhere = experiment.options.elsewhere;
      if (part.elsewhere.empty()) part.arithmetic = arithmetic(experiment.options).dump();
      share_experiment(experiment, part, artifacts);
      log_info(concat("all is in the store; this worker made ", artifacts.misses(), " blocks of it"));
      return Exit::ok;
    }
    const fs::path folder = o->run_folder.empty() ? default_run_folder(experiment) : fs::absolute(o->run_folder);
    run_experiment(experiment, folder, artifacts);
    if (o->run_folder.empty()) link_latest(folder);
    log_info(concat("run folder: ", folder.string(), " (", artifacts.hits(), " blocks from the store, ",
                    artifacts.misses(), " made)"));
    const Table table = table_of_run(folder, false);
    const auto failed = unmet(expectations, table);
    for (const auto& line : failed) log_error(line);
    output->write_table(table, table_row("protection").measured);
    return failed.empty() ? Exit::ok : Exit::gate;
  };
}

}  // namespace facepoison
