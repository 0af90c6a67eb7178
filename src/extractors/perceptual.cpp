#include "facepoison/perceptual.hpp"

#include <torch/csrc/jit/runtime/graph_executor.h>

#include "facepoison/error.hpp"

namespace facepoison {

Perceptual::Perceptual(std::string name, std::string method, ModelFile file, torch::Device device)
    : name_(std::move(name)), method_(std::move(method)), file_(std::move(file)), device_(device) {}

torch::Tensor Perceptual::operator()(const torch::Tensor& a, const torch::Tensor& b) const {
  std::call_once(loaded_, [&] {
    const c10::InferenceMode normal(false);  // whoever comes first: an attack may want gradients later
    module_ = load_model(file_, device_);
    if (!module_.find_method(method_))
      throw Error(Exit::model, concat(file_.path.string(), " has no method ", method_));
  });
  const torch::jit::GraphOptimizerEnabledGuard no_optimisation(false);
  const auto distances = module_.get_method(method_)({a.to(torch::kFloat32), b.to(torch::kFloat32)}).toTensor();
  if (distances.sizes() != torch::IntArrayRef({a.size(0)}))
    throw Error(Exit::model,
                concat(name_, " gave the shape ", distances.sizes(), " for ", a.size(0), " pairs of pictures"));
  return distances;
}

std::shared_ptr<const Perceptual> need_perceptual(const std::string& name, const RunOptions& options) {
  const fs::path path = resolve_named(name, "configs/metrics");
  const Json card = read_json(path);
  const auto how_to_get = card.value("get", "scripts/fetch_models.py " + name);
  const auto file = verify_model(card.at("file").get<std::string>(), path.parent_path(), "", false, how_to_get);
  return std::make_shared<Perceptual>(name, card.value("method", "forward"), file, options.device);
}

std::shared_ptr<const Perceptual> find_perceptual(const std::string& name, const RunOptions& options) {
  const fs::path path = resolve_named(name, "configs/metrics");
  const auto file = read_json(path).at("file").get<std::string>();
  return fs::exists(model_path(file, path.parent_path())) ? need_perceptual(name, options) : nullptr;
}

}  // namespace facepoison
