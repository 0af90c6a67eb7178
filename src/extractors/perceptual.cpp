#include "facepoison/perceptual.hpp"

#include <torch/csrc/jit/runtime/graph_executor.h>

#include "extractors/fold.hpp"
#include "facepoison/error.hpp"

namespace facepoison {

Perceptual::Perceptual(std::string name, ModelFile file, std::string how_to_get, const RunOptions& options)
    : name_(std::move(name)), file_(std::move(file)), how_to_get_(std::move(how_to_get)), options_(options) {}

void Perceptual::load() const {
  std::call_once(loaded_, [&] {
    const c10::InferenceMode normal(false);  // for any caller: an attack may want gradients later
    module_ = load_model(file_, options_.device);
    for (const auto* method : {"seen", "apart"})
      if (!module_.find_method(method))
        throw Error(Exit::model, concat(file_.path.string(), " has no method ", method,
                                        ": an earlier version made the file; to make it again: ", how_to_get_));
    folded_ = fold(module_, "seen", options_.precision);
  });
}

Perceptual::Seen Perceptual::look(const torch::Tensor& pictures) const {
  load();
  const torch::jit::GraphOptimizerEnabledGuard no_optimisation(false);
  Seen seen;
  const auto rows = pictures.to(options_.precision).contiguous(torch::MemoryFormat::ChannelsLast);
  for (const auto& found : folded_.get_method("seen")({rows}).toTensorVector())
    seen.push_back(found.to(torch::kFloat32));
  return seen;
}

torch::Tensor Perceptual::between(const Seen& a, const Seen& b) const {
  load();
  const torch::jit::GraphOptimizerEnabledGuard no_optimisation(false);
  const auto distances = module_.get_method("apart")({a, b}).toTensor();
  const auto rows = a.front().size(0);
  if (distances.sizes() != torch::IntArrayRef({rows}))
    throw Error(Exit::model,
                concat(name_, " returned the shape ", distances.sizes(), " for ", rows, " pairs of pictures"));
  return distances;
}

std::shared_ptr<const Perceptual> need_perceptual(const std::string& name, const RunOptions& options) {
  const fs::path path = resolve_named(name, "configs/metrics");
  const Json card = read_json(path);
  const auto how_to_get = card.value("get", "scripts/fetch_models.py " + name);
  const auto file = verify_model(card.at("file").get<std::string>(), path.parent_path(), "", false, how_to_get);
  return std::make_shared<Perceptual>(name, file, how_to_get, options);
}

std::shared_ptr<const Perceptual> find_perceptual(const std::string& name, const RunOptions& options) {
  const fs::path path = resolve_named(name, "configs/metrics");
  const auto file = read_json(path).at("file").get<std::string>();
  return fs::exists(model_path(file, path.parent_path())) ? need_perceptual(name, options) : nullptr;
}

}  // namespace facepoison
