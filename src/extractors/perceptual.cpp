#include "facepoison/lpips.hpp"

#include <torch/csrc/jit/runtime/graph_executor.h>

#include "facepoison/error.hpp"
#include "facepoison/home.hpp"
#include "facepoison/model.hpp"

namespace facepoison {

torch::Tensor Lpips::operator()(const torch::Tensor& a, const torch::Tensor& b) const {
  const torch::jit::GraphOptimizerEnabledGuard no_optimisation(false);
  const auto distances = module_.forward({a.to(torch::kFloat32), b.to(torch::kFloat32)}).toTensor();
  if (distances.sizes() != torch::IntArrayRef({a.size(0)})) throw Error(Exit::model, concat("lpips gave the shape ", distances.sizes(), " for ", a.size(0), " pairs of pictures"));
  return distances;
}

std::shared_ptr<const Lpips> find_lpips(const RunOptions& options) {
  const fs::path card = resolve_card("lpips", "configs/metrics");
  const auto file = read_json(card).value("file", "lpips.pt");
  if (!fs::exists(model_path(file, card.parent_path()))) return nullptr;
  const auto found = verify_model(file, card.parent_path(), "", options.trust_model);
  return std::make_shared<Lpips>(found.sha256, load_model(found, options.device));
}

}  // namespace facepoison
