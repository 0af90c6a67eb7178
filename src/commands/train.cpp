#include "commands/commands.hpp"
#include "facepoison/experiment.hpp"
#include "facepoison/log.hpp"
#include "facepoison/training.hpp"

namespace facepoison {

Action train_command(CLI::App& app) {
  struct Options {
    std::string config, output, device;
    std::vector<std::string> overrides;
    bool trust_model = false, allow_perturbed = false;
  };
  const auto o = std::make_shared<Options>();
  app.add_option("-c,--config", o->config, "the training, JSON")->required();
  app.add_option("--set", o->overrides, "KEY=VALUE overrides the config's value; VALUE is JSON or else a text")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("-o,--output", o->output,
                 "folder for the card, the weights and the log; required except for a worker");
  app.add_option("--device", o->device,
                 "auto, cpu, cuda, cuda:N or another device of LibTorch; overrides the config's device");
  app.add_flag("--trust-model", o->trust_model,
               "start from the config's model file even if its sha256 is not pinned (a model file is code)");
  app.add_flag("--allow-perturbed", o->allow_perturbed,
               "train on a data set's perturbed photos as if they were clean; the record says how many there are");
  const auto store = std::make_shared<StoreOption>(app);
  const auto worker = std::make_shared<WorkerOptions>(app, std::vector<std::string>{"--output"});
  return [o, store, worker] {
    Part part = worker->part();
    if (!worker->is_on) {
      if (o->output.empty()) throw Error(Exit::usage, "-o is required: the folder for the card and the weights");
      check_output(fs::path(o->output) / fs::path(o->config).filename());
      refuse_to_replace(fs::path(o->config).stem().string(), o->output);
    }
    if (o->allow_perturbed) o->overrides.push_back("allow_perturbed=true");
    if (!o->device.empty()) o->overrides.push_back("device=" + o->device);
    auto artifacts = store->open();
    const auto protected_by = [&](const fs::path& experiment) { return protected_photos(experiment, artifacts); };
    const auto config = read_training(o->config, o->overrides, o->trust_model, protected_by, artifacts);
    if (worker->is_on) {
      part.arithmetic = arithmetic(config.options.device).dump();
      share(stages_of(config), part, artifacts);
    } else {
      train(config, o->output, artifacts);
    }
    return Exit::ok;
  };
}

}  // namespace facepoison
