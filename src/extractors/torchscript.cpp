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

// The last line of a TorchScript message, without the traces of the network's code and of LibTorch.
std::string last_line(std::string what) {
  what.erase(std::min(what.find("\nException raised from"), what.size()));
  what.erase(what.find_last_not_of(" \n") + 1);
  if (what.find("Traceback of TorchScript") == std::string::npos) return what.substr(0, what.find('\n'));
  what.erase(0, what.rfind('\n') + 1);
  return what.starts_with("RuntimeError: ") ? what.substr(std::string("RuntimeError: ").size()) : what;
}

// Rounding alone gives 1e-5 between batches.
constexpr double largest_difference = 1e-3;

class TorchScriptExtractor final : public FeatureExtractor {
 public:
  TorchScriptExtractor(Card card, const RunOptions& options)
      : FeatureExtractor(card),
        options_(options),
        precision_(options.precision),
        file_(verify_model(card.file, card.path.parent_path(), card.sha256, options.trust_model, card.how_to_get())) {}

  Json identity() const override {
    return {{"contract", card().contract()},
            {"weights", file_.sha256},
            {"precision", precision_name(options_)},
            {"device", device_name(options_)},
            {"folded", true}};
  }

  std::string deviation() const override { return deviation_; }

 private:
  torch::Tensor forward(const torch::Tensor& prepared) const override {
    std::call_once(loaded_, [&] {
      log_debug(concat("loading ", file_.path.string()));
      const c10::InferenceMode normal(
          false);  // for any caller: an attack may want gradients through the same weights later
      module_ = load_model(file_, options_.device);
      if (!module_.find_method(card().method))
        throw Error(Exit::model, concat(file_.path.string(), " has no method ", card().method));
      check_deterministic(prepared.narrow(0, 0, 1));
      choose_precision(prepared.narrow(0, 0, 1));
    });
    torch::IValue output;
    try {
      output = run(prepared);
    } catch (const c10::OutOfMemoryError&) {
      throw Error(Exit::resource, concat(card().name, ": out of memory for ", prepared.size(0), " faces"));
    } catch (const std::exception& error) {  // LibTorch's own, or what the network raises
      if (is_shortage(error)) throw;
      throw Error(Exit::model, concat(card().name, ": the network failed on ", prepared.sizes(), ": ",
                                      last_line(error.what()), failure_hint(prepared, error.what())));
    }
    if (!output.isTensor())
      throw Error(Exit::model, concat(card().name, ": the network returns ", output.tagKind(), ", not a tensor"));
    return output.toTensor().to(torch::kFloat32);
  }

  // Only here: when a network is frozen, optimisation must be on, or called methods get lost.
  torch::IValue run(const torch::Tensor& prepared) const {
    const torch::jit::GraphOptimizerEnabledGuard no_optimisation(false);
    return module_.get_method(card().method)({prepared.to(precision_)});
  }

  // The loaded network in a precision, frozen if possible.
  torch::jit::Module in_precision(const torch::jit::Module& loaded, torch::ScalarType precision) const {
    try {
      return fold(loaded, card().method, precision);
    } catch (const std::exception& error) {  // an unusual module; it runs as it is
      if (is_shortage(error)) throw;         // unfrozen, it would give other bits
      log_debug(concat(card().name, " cannot be frozen: ", error.what()));
      return load_model(file_, options_.device, precision);
    }
  }

  // Some networks' code requires float32 in a layer. These compute in float32 in any case.
  void choose_precision(const torch::Tensor& picture) const {
    module_ = in_precision(module_, precision_);
    if (precision_ == torch::kFloat32) return;
    const torch::NoGradGuard no_grad;
    try {
      run(picture);
    } catch (const std::exception& error) {
      if (is_shortage(error)) throw;
      deviation_ = concat("computes in float32, for it does not run in ", precision_name(options_), ": ",
                          last_line(error.what()));
      log_debug(concat(card().name, " ", deviation_));
      precision_ = torch::kFloat32;
      module_ = in_precision(load_model(file_, options_.device), precision_);
    }
  }

  // Says what to do about a network that failed, if that is known; else "".
  std::string failure_hint(const torch::Tensor& prepared, const std::string& what) const {
    if (precision_ == torch::kFloat32 && what.find("Half") != std::string::npos)
      return "; its code computes in half precision: export it in float32 (model.float())";
    if (prepared.size(0) == 1) return "";
    try {
      run(prepared.narrow(0, 0, 1));
      return "; it takes one face at a time, as it was traced: export it with a variable batch size (x.flatten(1) "
             "instead of x.view(1, -1), or torch.jit.script)";
    } catch (const std::exception&) {
      return "";
    }
  }

  // Refuses a network that gives a photo other answers from run to run or beside other photos. A network that was
  // traced in training mode has dropout and the batch's own statistics in its graph, and eval() does not change them.
  // `picture` is one row of its input.
  void check_deterministic(const torch::Tensor& picture) const {
    const torch::NoGradGuard no_grad;
    const torch::jit::GraphOptimizerEnabledGuard no_optimisation(false);
    const auto first_of = [&](const torch::Tensor& beside) {
      const auto output = module_.get_method(card().method)({torch::cat({picture, beside, picture.flip(2)})});
      return output.isTensor() && output.toTensor().dim() > 0 ? output.toTensor()[0].to(torch::kFloat64)
                                                              : torch::Tensor();
    };
    torch::Tensor once, again, elsewhere;
    try {
      once = first_of(picture.flip(3)), again = first_of(picture.flip(3)), elsewhere = first_of(-picture);
    } catch (const std::exception& error) {
      if (is_shortage(error)) throw;
      return;  // the next call fails likewise, and reports it
    }
    if (!once.defined() || once.sizes() != again.sizes() || once.sizes() != elsewhere.sizes()) return;
    const double most =
        std::max((again - once).abs().max().item<double>(), (elsewhere - once).abs().max().item<double>());
    if (const double size = once.abs().max().item<double>(); most > largest_difference * size)
      throw Error(Exit::model,
                  concat(file_.path.string(),
                         " gives the same photo different embeddings from call to call, "
                         "or beside other photos (by ",
                         100 * most / size,
                         " % of the largest number): it is in training mode; call .eval() before it is traced or "
                         "scripted, and export it again"));
  }

  RunOptions options_;
  mutable torch::ScalarType precision_;  // that of the options, or float32
  ModelFile file_;
  mutable std::string deviation_;
  mutable std::once_flag loaded_;
  mutable torch::jit::Module module_;
};

}  // namespace

// One network in memory for each card, precision and device, however many attacks and tables use it.
std::shared_ptr<const FeatureExtractor> make_extractor(const Card& card, const RunOptions& options) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<const FeatureExtractor>> known;
  const std::lock_guard lock(mutex);
  auto& place = known[concat(card.path.string(), "|", precision_name(options), "|", options.device, "|",
                             options.elsewhere, "|", options.trust_model)];
  auto extractor = place.lock();
  if (!extractor) place = extractor = std::make_shared<TorchScriptExtractor>(card, options);
  return extractor;
}

std::shared_ptr<const FeatureExtractor> make_extractor(const std::string& name_or_card, const RunOptions& options) {
  return make_extractor(read_card(name_or_card), options);
}

std::shared_ptr<const FeatureExtractor> make_cloak_detector(const std::string& name_or_card,
                                                            const RunOptions& options) {
  return make_extractor(read_card(name_or_card, {Task::cloak_detector}), options);
}

}  // namespace facepoison
