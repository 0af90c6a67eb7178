// How far apart two pictures look to a network that learnt from photographs of anything. "lpips" (Zhang et al., CVPR
// 2018): AlexNet with heads that learnt from people's judgements; no registry ships AlexNet's weights as we may fetch
// them, so scripts/export/lpips.py makes it of the published files. "lite0": the same idea without learnt heads on
// EfficientNet-Lite0, which scripts/fetch_models.py fetches.
#pragma once
#include <memory>
#include <mutex>

#include "facepoison/extractor.hpp"
#include "facepoison/model.hpp"

namespace facepoison {

class Perceptual {
 public:
  // The network is loaded at its first distance.
  Perceptual(std::string name, std::string method, ModelFile file, torch::Device device);
  // Two N×3×H×W tensors in [0,1] → N, 0 for equal pictures; differentiable. H and W of at least 64 pixels. Throws
  // Error(model).
  torch::Tensor operator()(const torch::Tensor& a, const torch::Tensor& b) const;
  const std::string& sha256() const { return file_.sha256; }

 private:
  std::string name_, method_;
  ModelFile file_;
  torch::Device device_;
  mutable std::once_flag loaded_;
  mutable torch::jit::Module module_;
};

// By the name of a card in configs/metrics. find_: nullptr where its weights are not there; need_: Error(model) with
// the command that makes them. Both throw Error(model) for weights that were altered.
std::shared_ptr<const Perceptual> find_perceptual(const std::string& name, const RunOptions& options);
std::shared_ptr<const Perceptual> need_perceptual(const std::string& name, const RunOptions& options);

}  // namespace facepoison
