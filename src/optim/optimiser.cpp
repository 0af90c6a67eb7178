// AdamW and SGD are LibTorch's. Its C++ side lacks FaceCure's Adadelta.
#include "facepoison/optimiser.hpp"

#include <torch/optim/adamw.h>
#include <torch/optim/sgd.h>
#include <torch/serialize/archive.h>

#include "facepoison/text.hpp"
#include "optim/adadelta.hpp"

namespace facepoison {
namespace {

struct AdadeltaOptions : torch::optim::OptimizerCloneableOptions<AdadeltaOptions> {
  explicit AdadeltaOptions(double rate = 1, double decay = 0) : rate(rate), decay(decay) {}
  double get_lr() const override { return rate; }
  void set_lr(const double lr) override { rate = lr; }
  double rate, decay;
};

class AdadeltaOptimiser final : public torch::optim::Optimizer {
 public:
  explicit AdadeltaOptimiser(const std::vector<torch::optim::OptimizerParamGroup>& groups)
      : Optimizer(groups, std::make_unique<AdadeltaOptions>()) {
    for (std::size_t i = 0; i < groups.size(); ++i) {  // LibTorch merges options of its own optimisers only
      param_groups()[i].set_options(groups[i].options().clone());
      for (const auto& parameter : groups[i].params()) states_.emplace_back(parameter.detach());
    }
  }

  torch::Tensor step(LossClosure) override {
    const torch::NoGradGuard no_grad;
    std::size_t place = 0;
    for (auto& group : param_groups()) {
      const auto& options = static_cast<AdadeltaOptions&>(group.options());
      for (auto& parameter : group.params()) {
        auto& state = states_[place++];
        if (!parameter.grad().defined()) continue;
        constexpr double keras_epsilon = 1e-7;
        const auto gradient = parameter.grad() + options.decay * parameter;
        parameter.sub_(options.rate * state.step(gradient, keras_epsilon));
      }
    }
    return {};
  }

  void save(torch::serialize::OutputArchive& archive) const override {
    for (std::size_t i = 0; i < states_.size(); ++i) {
      archive.write(concat("squares", i), states_[i].squares.to(torch::kCPU), true);
      archive.write(concat("moves", i), states_[i].moves.to(torch::kCPU), true);
    }
  }
  void load(torch::serialize::InputArchive& archive) override {
    for (std::size_t i = 0; i < states_.size(); ++i) {
      torch::Tensor saved;
      archive.read(concat("squares", i), saved, true);
      states_[i].squares.copy_(saved);
      archive.read(concat("moves", i), saved, true);
      states_[i].moves.copy_(saved);
    }
  }

 private:
  std::vector<Adadelta> states_;
};

template <class Options>
std::vector<torch::optim::OptimizerParamGroup> groups_of(const Options& decayed_by, const Options& free_by,
                                                         const std::vector<torch::Tensor>& decayed,
                                                         const std::vector<torch::Tensor>& free) {
  std::vector<torch::optim::OptimizerParamGroup> groups;
  groups.emplace_back(decayed, std::make_unique<Options>(decayed_by));
  groups.emplace_back(free, std::make_unique<Options>(free_by));
  return groups;
}

}  // namespace

OptimiserSettings OptimiserSettings::from(Spec& spec) {
  OptimiserSettings settings;
  settings.kind = spec.choice("optimiser", {"adamw", "sgd", "adadelta"}, "adamw");
  const double rate = settings.kind == "adamw" ? 2e-3 : settings.kind == "sgd" ? 0.05 : 1;
  settings.rate = spec.number("rate", 0, 10, rate);
  settings.weight_decay = spec.number("weight_decay", 0, 10, settings.kind == "adadelta" ? 0 : 5e-4);
  if (settings.kind == "sgd") settings.momentum = spec.number("momentum", 0, 1, 0.9);
  return settings;
}

std::unique_ptr<torch::optim::Optimizer> make_optimiser(const OptimiserSettings& settings,
                                                        const std::vector<torch::Tensor>& decayed,
                                                        const std::vector<torch::Tensor>& free) {
  if (settings.kind == "adadelta")
    return std::make_unique<AdadeltaOptimiser>(groups_of(AdadeltaOptions(settings.rate, settings.weight_decay),
                                                         AdadeltaOptions(settings.rate, 0), decayed, free));
  if (settings.kind == "sgd") {
    auto options = torch::optim::SGDOptions(settings.rate).momentum(settings.momentum);
    auto decaying = options;
    return std::make_unique<torch::optim::SGD>(
        groups_of(decaying.weight_decay(settings.weight_decay), options.weight_decay(0), decayed, free),
        torch::optim::SGDOptions(settings.rate));
  }
  auto options = torch::optim::AdamWOptions(settings.rate);
  auto decaying = options;
  return std::make_unique<torch::optim::AdamW>(
      groups_of(decaying.weight_decay(settings.weight_decay), options.weight_decay(0), decayed, free));
}

}  // namespace facepoison
