// A recogniser that is one TorchScript file and one card.
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <map>
#include <mutex>

#include "extractors/fold.hpp"
#include "facepoison/error.hpp"
#include "facepoison/extractor.hpp"
#include "facepoison/log.hpp"
#include "facepoison/model.hpp"

namespace facepoison {
namespace {

class TorchScriptExtractor final : public FeatureExtractor {
 public:
  TorchScriptExtractor(Card card, const RunOptions& options)
      : FeatureExtractor(card), options_(options), file_(verify_model(card.file, card.path.parent_path(), card.sha256, options.trust_model, card.how_to_get())) {}

  Json identity() const override {
    return {{"contract", card().contract()}, {"weights", file_.sha256}, {"precision", precision_name(options_)},
            {"device", options_.device.is_cuda() ? "cuda" : "cpu"}, {"folded", true}};
  }

 private:
  torch::Tensor forward(const torch::Tensor& prepared) const override {
    std::call_once(loaded_, [this] {
      log_debug(concat("loading ", file_.path.string()));
      const c10::InferenceMode normal(false);  // whoever comes first: an attack may want gradients through the same weights later
      module_ = load_model(file_, options_.device);
      if (!module_.find_method(card().method)) throw Error(Exit::model, concat(file_.path.string(), " has no method ", card().method));
      try {
        module_ = fold(module_, card().method, options_.precision);
      } catch (const std::exception& error) {  // an unusual module; it runs as it is
        log_debug(concat(card().name, " cannot be frozen: ", error.what()));
        module_ = load_model(file_, options_.device, options_.precision);
      }
    });
    const torch::jit::GraphOptimizerEnabledGuard no_optimisation(false);
    torch::IValue output;
    try {
      output = module_.get_method(card().method)({prepared.to(options_.precision)});
    } catch (const c10::OutOfMemoryError&) {
      throw Error(Exit::resource, concat(card().name, ": out of memory for ", prepared.size(0), " faces"));
    } catch (const std::exception& error) {  // LibTorch's own, or what the network raises
      const std::string what = error.what();
      throw Error(Exit::model, concat(card().name, ": the network failed on ", prepared.sizes(), ": ", what.substr(0, what.find("\nException raised from"))));
    }
    if (!output.isTensor()) throw Error(Exit::model, concat(card().name, ": the network returns ", output.tagKind(), ", not a tensor"));
    return output.toTensor().to(torch::kFloat32);
  }

  RunOptions options_;
  ModelFile file_;
  mutable std::once_flag loaded_;
  mutable torch::jit::Module module_;
};

}  // namespace

// One network in memory for each card, precision and device, however many attacks and tables use it.
std::shared_ptr<const FeatureExtractor> make_extractor(const Card& card, const RunOptions& options) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<const FeatureExtractor>> known;
  const std::lock_guard lock(mutex);
  auto& place = known[concat(card.path.string(), "|", precision_name(options), "|", options.device, "|", options.trust_model)];
  auto extractor = place.lock();
  if (!extractor) place = extractor = std::make_shared<TorchScriptExtractor>(card, options);
  return extractor;
}

std::shared_ptr<const FeatureExtractor> make_extractor(const std::string& name_or_card, const RunOptions& options) {
  return make_extractor(read_card(name_or_card), options);
}

}  // namespace facepoison
