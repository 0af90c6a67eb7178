#include "training/trainee.hpp"

#include <ATen/autocast_mode.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/serialize/archive.h>

#include <algorithm>
#include <sstream>

#include "facepoison/error.hpp"

namespace facepoison {
namespace {

// Autocasts what gains by it (convolutions, matrix products) to bf16; weights, their sums and the loss stay float32.
class Autocast {
 public:
  Autocast(torch::Device device, torch::ScalarType precision)
      : type_(device.type()), was_(at::autocast::is_autocast_enabled(type_)) {
    if (precision == torch::kFloat32) return;
    at::autocast::set_autocast_dtype(type_, precision);
    at::autocast::set_autocast_enabled(type_, true);
  }
  ~Autocast() {
    at::autocast::set_autocast_enabled(type_, was_);
    at::autocast::clear_cache();
  }

 private:
  c10::DeviceType type_;
  bool was_;
};

// The network with a dense layer after it.
torch::jit::Module with_head(const torch::jit::Module& network, const std::string& method,
                             const std::vector<torch::Tensor>& head) {
  torch::jit::Module whole("WithHead");
  whole.register_module("network", network);
  whole.register_parameter("weights", head[0].detach().clone(), false);
  whole.register_parameter("bias", head[1].detach().clone(), false);
  whole.define(concat("def forward(self, x):\n    return torch.addmm(self.bias, self.network.", method,
                      "(x), self.weights.t())\n"));
  whole.eval();
  return whole;
}

// The number that a cloak detector gets from a purifier: the mean difference, in grey levels, of a picture and of what
// the purifier makes of it, N×1. The scale can learn where the purifier is "frozen".
torch::jit::Module with_residual(const torch::jit::Module& purifier, const std::string& method, torch::Device device) {
  torch::jit::Module whole("WithResidual");
  whole.register_module("purifier", purifier);
  whole.register_parameter("scale", torch::ones({1}, device), false);
  whole.define(concat("def forward(self, x):\n    difference = torch.abs(x - self.purifier.", method,
                      "(x))\n    return 255.0 * self.scale * torch.mean(difference, [1, 2, 3]).unsqueeze(1)\n"));
  return whole;
}

Card card_of_trainee(const TrainingConfig& config) {
  Card card = config.start;
  if (config.detects_by_purifier()) card.task = Task::cloak_detector, card.method = "forward", card.dimension = 1;
  return card;
}

}  // namespace

std::vector<torch::Tensor> state_of(Trainee& trainee, const std::vector<torch::Tensor>& beside) {
  auto tensors = trainee.parameters();
  for (const auto& buffer : trainee.module().buffers()) tensors.push_back(buffer);
  tensors.insert(tensors.end(), beside.begin(), beside.end());
  return tensors;
}

Trainee::Trainee(const TrainingConfig& config)
    : FeatureExtractor(card_of_trainee(config)),
      options_(config.options),
      batch_norm_learns_(config.recipe.batch_norm_learns) {
  const Card& card = config.start;
  module_ =
      load_model(verify_model(card.file, card.path.parent_path(), card.sha256, options_.trust_model), options_.device);
  if (!module_.find_method(card.method))
    throw Error(Exit::model, concat(card.path.string(), ": its network has no method ", card.method));
  if (config.detects_by_purifier()) module_ = with_residual(module_, card.method, options_.device);
  std::vector<std::string> names;
  for (auto parameter : module_.named_parameters()) {
    names.push_back(parameter.name);
    const bool left_alone = std::any_of(config.recipe.frozen.begin(), config.recipe.frozen.end(),
                                        [&](const auto& prefix) { return parameter.name.starts_with(prefix); });
    parameter.value.set_requires_grad(!left_alone);
  }
  if (names.empty())
    throw Error(Exit::model, concat(card.path.string(),
                                    ": its network has no parameters to train: torch.jit.freeze or an exporter turned "
                                    "its weights into constants; export it without that step"));
  for (const auto& prefix : config.recipe.frozen)
    if (std::none_of(names.begin(), names.end(), [&](const auto& name) { return name.starts_with(prefix); }))
      throw Error(Exit::usage,
                  concat("\"frozen\": no parameter begins with \"", prefix, "\"; there are ", listed(names, 6)));
  if (parameters().empty()) throw Error(Exit::usage, "\"frozen\" leaves no parameter to train");
}

std::vector<torch::Tensor> Trainee::parameters() const {
  std::vector<torch::Tensor> result;
  for (const auto& parameter : module_.parameters())
    if (parameter.requires_grad()) result.push_back(parameter);
  return result;
}

void Trainee::learn(bool on) {
  on ? module_.train() : module_.eval();
  if (!on || batch_norm_learns_) return;
  for (auto module : module_.modules())
    if (module.type()->name() && module.type()->name()->name().find("BatchNorm") != std::string::npos) module.eval();
}

torch::Tensor Trainee::forward(const torch::Tensor& prepared) const {
  const torch::jit::GraphOptimizerEnabledGuard no_optimisation(false);
  const Autocast autocast(options_.device, options_.precision);
  return module_.get_method(card().method)({prepared}).toTensor().to(torch::kFloat32);
}

std::string Trainee::archive(const std::vector<torch::Tensor>& head) const {
  module_.eval();
  std::ostringstream bytes;
  (head.empty() ? module_ : with_head(module_, card().method, head)).save(bytes);
  if (options_.device.is_cpu()) return bytes.str();
  std::istringstream here(bytes.str());
  std::ostringstream on_cpu;
  torch::jit::load(here, torch::kCPU).save(on_cpu);
  return on_cpu.str();
}

std::string write_checkpoint(const Progression& at, Trainee& trainee, const std::vector<torch::Tensor>& beside,
                             const torch::optim::Optimizer& optimiser, const std::string& config_hash) {
  torch::serialize::OutputArchive archive, moments;
  archive.write("config", torch::IValue(config_hash));
  archive.write("step", torch::IValue(at.step));
  archive.write("seconds", torch::IValue(at.seconds));
  archive.write("loss_sum", torch::IValue(at.loss_sum));
  archive.write("loss_count", torch::IValue(at.loss_count));
  archive.write("log", torch::IValue(at.log));
  archive.write("checked", torch::IValue(at.checked));
  archive.write("least", torch::IValue(at.least));
  const auto write = [&](const char* name, const std::vector<torch::Tensor>& tensors) {
    for (std::size_t i = 0; i < tensors.size(); ++i)
      archive.write(concat(name, i), tensors[i].detach().to(torch::kCPU), true);
  };
  write("tensor", state_of(trainee, beside));
  write("best", at.best);
  optimiser.save(moments);
  archive.write("optimiser", moments);
  std::ostringstream bytes;
  archive.save_to(bytes);
  return bytes.str();
}

Progression read_checkpoint(const fs::path& file, Trainee& trainee, const std::vector<torch::Tensor>& beside,
                            torch::optim::Optimizer& optimiser, const std::string& config_hash) {
  Progression at;
  try {
    torch::serialize::InputArchive archive, moments;
    archive.load_from(file.string(), trainee.parameters().front().device());
    const auto read = [&](const char* key) {
      torch::IValue value;
      archive.read(key, value);
      return value;
    };
    if (read("config").toStringRef() != config_hash)
      throw Error(Exit::usage, concat(file.string(), " belongs to another config; remove it, or choose another -o"));
    at = {
        read("step").toInt(),      read("seconds").toDouble(), read("loss_sum").toDouble(), read("loss_count").toInt(),
        read("log").toStringRef(), read("checked").toDouble(), read("least").toDouble(),    {}};
    const torch::NoGradGuard no_grad;
    auto tensors = state_of(trainee, beside);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      torch::Tensor saved, best;
      archive.read(concat("tensor", i), saved, true);
      tensors[i].copy_(saved);
      if (archive.try_read(concat("best", i), best, true)) at.best.push_back(best);
    }
    archive.read("optimiser", moments);
    optimiser.load(moments);
  } catch (const c10::Error& error) {
    throw Error(Exit::input,
                concat(file.string(), " is damaged: ", error.what_without_backtrace(), "; remove it to start again"));
  }
  return at;
}

}  // namespace facepoison
