#include "facepoison/trial.hpp"

#include <torch/csrc/autograd/autograd.h>

#include "facepoison/error.hpp"
#include "facepoison/files.hpp"
#include "facepoison/store.hpp"

namespace facepoison {
namespace {

constexpr auto note_file = "note.txt";

class NetworkTrial final : public StageOf<Faces, std::string, TrialStage> {
 public:
  NetworkTrial(std::vector<TriedNetwork> networks, const RunOptions& options)
      : StageOf("tried", "try networks", 1), networks_(std::move(networks)), options_(options) {
    for (std::size_t n = 0; n < networks_.size(); ++n) add_unit(n, 1);
  }

  std::string rows_are() const override { return "networks"; }

  Json key(const Unit& unit) const override {
    const auto& [extractor, with_gradients] = networks_[unit.first];
    return {{"format", 1},
            {"arithmetic", arithmetic(options_)},
            {"extractor", extractor->identity()},
            {"gradients", with_gradients}};
  }

  std::vector<std::string> notes(const ArtifactStore& store) const override {
    std::vector<std::string> all;
    for (std::size_t n = 0; n < networks_.size(); ++n)
      if (const auto note = read_file(store.path(units()[n].id) / note_file); !note.empty())
        all.push_back(concat(networks_[n].extractor->card().name, ": ", note));
    return all;
  }

 private:
  Faces decode_rows(const Rows& rows) const override {
    const Card& card = networks_[rows.front()].extractor->card();
    Faces faces;
    faces.pixels = golden_picture(card.height, card.width);
    return faces;
  }

  std::vector<std::string> compute_rows(const Rows& rows, Faces faces) override {
    const auto& [extractor, with_gradients] = networks_[rows.front()];
    const torch::AutoGradMode gradients(with_gradients);
    faces.pixels = faces.pixels.to(options_.device).requires_grad_(with_gradients);
    const auto embedding = extractor->embed(faces);
    if (with_gradients) try_gradient(extractor->card().name, embedding, faces.pixels);
    return {extractor->deviation()};
  }

  static void try_gradient(const std::string& name, const torch::Tensor& embedding, const torch::Tensor& pixels) {
    try {
      torch::autograd::grad({embedding.square().sum()}, {pixels});
    } catch (const std::exception& error) {
      if (is_shortage(error)) throw;
      const std::string what = error.what();
      throw Error(Exit::model,
                  concat(name, ": cannot be attacked, because it gives no gradient with respect to the pixels: ",
                         what.substr(0, what.find('\n'))));
    }
  }

  void write_unit(const Unit&, std::span<const std::string> notes, const fs::path& folder) const override {
    write_unflushed(folder / note_file, notes.front());
  }

  std::vector<TriedNetwork> networks_;
  RunOptions options_;
};

}  // namespace

std::shared_ptr<TrialStage> trial_stage(std::vector<TriedNetwork> networks, const RunOptions& options) {
  return std::make_shared<NetworkTrial>(std::move(networks), options);
}

}  // namespace facepoison
