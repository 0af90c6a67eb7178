// A network that is being trained, as an extractor, and its checkpoints.
#pragma once
#include <torch/optim/optimizer.h>

#include <cmath>

#include "facepoison/training.hpp"

namespace facepoison {

class Trainee final : public FeatureExtractor {
 public:
  // Loads the start's network; a cloak detector that starts from a purifier gives its residual as one number. Throws
  // Error(model | usage) where there is nothing to train.
  explicit Trainee(const TrainingConfig& config);
  Json identity() const override { return nullptr; }  // its embeddings must not be cached
  void learn(bool on);                                // training mode, or evaluation mode
  torch::jit::Module& module() { return module_; }
  std::vector<torch::Tensor> parameters() const;  // those that learn
  // The TorchScript file's bytes, in evaluation mode; with a head (see Dense) it returns the head's output.
  std::string archive(const std::vector<torch::Tensor>& head = {}) const;

 private:
  torch::Tensor forward(const torch::Tensor& prepared) const override;
  RunOptions options_;
  bool batch_norm_learns_;
  mutable torch::jit::Module module_;
};

// The state of a training: with the weights, everything that its remaining steps depend on.
struct Progression {
  std::int64_t step = 0;  // steps done
  double seconds = 0;     // spent on them
  double loss_sum = 0;    // since the last line of the log
  std::int64_t loss_count = 0;
  std::string log;                  // CSV so far
  double checked = std::nan("");    // the last check's number
  double least = HUGE_VAL;          // the least number so far,
  std::vector<torch::Tensor> best;  // and the state that gave it
};

// Everything that is learnt or kept: the network's parameters and buffers, and `beside`, what is learnt with it.
std::vector<torch::Tensor> state_of(Trainee& trainee, const std::vector<torch::Tensor>& beside);

std::string write_checkpoint(const Progression& at, Trainee& trainee, const std::vector<torch::Tensor>& beside,
                             const torch::optim::Optimizer& optimiser, const std::string& config_hash);
// Throws Error(usage) when the file belongs to another config, Error(input) when it is damaged.
Progression read_checkpoint(const fs::path& file, Trainee& trainee, const std::vector<torch::Tensor>& beside,
                            torch::optim::Optimizer& optimiser, const std::string& config_hash);

}  // namespace facepoison
