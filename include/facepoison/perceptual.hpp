// LPIPS (Zhang et al., CVPR 2018): how far apart two pictures look to AlexNet. No registry ships AlexNet's weights as we may
// fetch them: scripts/export/lpips.py turns the published files into models/lpips.pt.
#pragma once
#include <memory>

#include "facepoison/extractor.hpp"

namespace facepoison {

class Lpips {
 public:
  Lpips(std::string sha256, torch::jit::Module module) : sha256_(std::move(sha256)), module_(std::move(module)) {}
  // Two N×3×H×W tensors in [0,1] → N, 0 for equal pictures; differentiable. H and W of at least 64 pixels.
  torch::Tensor operator()(const torch::Tensor& a, const torch::Tensor& b) const;
  const std::string& sha256() const { return sha256_; }

 private:
  std::string sha256_;
  mutable torch::jit::Module module_;
};

// nullptr where models/lpips.pt is not there. Throws Error(model) for one that is there and altered.
std::shared_ptr<const Lpips> find_lpips(const RunOptions& options);

}  // namespace facepoison
