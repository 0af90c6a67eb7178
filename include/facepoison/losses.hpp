// What training minimises. A new loss is one class and one row in losses.cpp.
#pragma once
#include <torch/script.h>

#include <functional>
#include <memory>

#include "facepoison/card.hpp"
#include "facepoison/random.hpp"

namespace facepoison {

class Loss {
 public:
  virtual ~Loss() = default;
  // embeddings B×D float32, labels B int64 in 0 … people−1, both on the loss's device → a scalar to minimise.
  virtual torch::Tensor operator()(const torch::Tensor& embeddings, const torch::Tensor& labels) = 0;
  virtual std::vector<torch::Tensor> parameters() { return {}; }  // class centres, learnt beside the network
  virtual void to(torch::Device) {}                               // makes new parameters there
};

// A loss over a dense layer, its head: parameters() are the weights C×D and the bias C.
class Dense : public Loss {
 public:
  Dense(std::int64_t classes, std::int64_t dimension, Seed seed);
  std::vector<torch::Tensor> parameters() override { return {weights_, bias_}; }
  void to(torch::Device device) override;
  torch::Tensor scores(const torch::Tensor& embeddings) const;  // B×C

 private:
  torch::Tensor weights_, bias_;
};

// Makes a loss from checked parameters, on the CPU.
using MakeLoss = std::function<std::unique_ptr<Loss>(std::int64_t people, std::int64_t dimension, Seed seed)>;

struct LossRow {
  std::string name, help;
  Task task;             // its task
  bool compares_photos;  // of a person: a batch needs two of each
  MakeLoss (*read)(Spec&);
};
const std::vector<LossRow>& loss_registry();

// The loss that a config names, its parameters read and checked.
struct LossChoice {
  std::string kind;
  bool compares_photos = false;
  MakeLoss make;
  // Reads "kind", one of the task's losses, and that loss's own keys. Throws Error(usage).
  static LossChoice from(Spec& spec, Task task = Task::recogniser);
};

}  // namespace facepoison
