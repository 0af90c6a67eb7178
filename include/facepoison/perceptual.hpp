// How far apart two pictures look to a network that was trained on photographs of anything. "lpips" (Zhang et al., CVPR
// 2018): AlexNet with heads trained on people's judgements. No registry has AlexNet's weights for us to fetch, so
// scripts/export/lpips.py makes it from the published files. "lite0": the same without trained heads, on
// EfficientNet-Lite0, which scripts/fetch_models.py fetches.
#pragma once
#include <memory>
#include <mutex>

#include "facepoison/extractor.hpp"
#include "facepoison/model.hpp"

namespace facepoison {

class Perceptual {
 public:
  // What the network sees in a batch of pictures: a tensor for each depth, N×…, float32.
  using Seen = std::vector<torch::Tensor>;

  // The network is loaded with the first pictures, which may throw Error(model).
  Perceptual(std::string name, ModelFile file, std::string how_to_get, const RunOptions& options);
  // N×3×H×W in [0,1], H and W of at least 64 pixels; differentiable. In the precision that was asked for.
  Seen look(const torch::Tensor& pictures) const;
  // How far apart N pictures and N others are: N, 0 for equal pictures; differentiable. In float32.
  torch::Tensor between(const Seen& a, const Seen& b) const;
  torch::Tensor operator()(const torch::Tensor& a, const torch::Tensor& b) const { return between(look(a), look(b)); }
  // What decides a distance, for cache keys: weights and precision.
  Json identity() const { return {{"weights", file_.sha256}, {"precision", precision_name(options_)}}; }

 private:
  void load() const;

  std::string name_;
  ModelFile file_;
  std::string how_to_get_;
  RunOptions options_;
  mutable std::once_flag loaded_;
  mutable torch::jit::Module module_, folded_;
};

// By the name of a card in configs/metrics. Without its weights find_perceptual() returns nullptr, need_perceptual()
// throws Error(model) with the command for them. Both throw Error(model) for altered weights.
std::shared_ptr<const Perceptual> find_perceptual(const std::string& name, const RunOptions& options);
std::shared_ptr<const Perceptual> need_perceptual(const std::string& name, const RunOptions& options);

}  // namespace facepoison
