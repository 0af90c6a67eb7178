// A purifier: a network that gives a picture without its perturbation (src/training/purifier.cpp trains it). It runs on
// the CPU in float32, a picture in one thread, so that the result depends on nothing else.
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <mutex>

#include "data/transforms/registry.hpp"
#include "facepoison/dataset.hpp"
#include "facepoison/device.hpp"
#include "facepoison/model.hpp"
#include "facepoison/version.hpp"

namespace facepoison {
namespace {

class Purifier final : public Transform {
 public:
  explicit Purifier(Card card)
      : card_(std::move(card)),
        file_(verify_model(card_.file, card_.path.parent_path(), card_.sha256, /*trust=*/false, card_.how_to_get())) {}

  Canvas operator()(Canvas canvas, Seed, const std::string&) const override {
    std::call_once(loaded_, [&] { network_ = load_model(file_, torch::kCPU); });
    in_pieces(torch::kCPU, 1, 1, [&](std::size_t, std::size_t) {
      const c10::InferenceMode inference;
      canvas.image = to_image(purified(to_tensor(canvas.image)));
    });
    return canvas;
  }

  std::vector<Card> cards() const override { return {card_}; }

  Json read_files() const override {
    return {{"card", {{"weights", file_.sha256}, {"method", card_.method}}}, {"libtorch", libtorch_version()}};
  }

 private:
  torch::Tensor purified(const torch::Tensor& picture) const {
    const torch::jit::GraphOptimizerEnabledGuard no_optimisation(false);
    torch::Tensor made;
    try {
      made = network_.get_method(card_.method)({picture}).toTensor();
    } catch (const std::exception& error) {  // LibTorch's own, or what the network raises
      if (is_shortage(error)) throw;
      const std::string reason = error.what();
      throw Error(Exit::model, concat(file_.path.string(), ": the network failed on a picture of the shape ",
                                      picture.sizes(), ": ", reason.substr(0, reason.find('\n'))));
    }
    if (made.sizes() != picture.sizes() || !made.isfinite().all().item<bool>())
      throw Error(Exit::model, concat(file_.path.string(), ": the network returned ",
                                      made.sizes() != picture.sizes() ? concat("the shape ", made.sizes())
                                                                      : "numbers that are not finite",
                                      " for a picture of the shape ", picture.sizes()));
    return made;
  }

  Card card_;
  ModelFile file_;
  mutable std::once_flag loaded_;
  mutable torch::jit::Module network_;
};

}  // namespace

std::unique_ptr<Transform> make_purifier(Spec& spec) {
  return std::make_unique<Purifier>(read_card(spec.text("card"), {Task::purifier}));
}

}  // namespace facepoison
