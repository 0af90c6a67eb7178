// Runs each network of an experiment once, before photos are perturbed: one that cannot be used is named at once.
#pragma once
#include <memory>

#include "facepoison/extractor.hpp"
#include "facepoison/stage.hpp"

namespace facepoison {

struct TriedNetwork {
  std::shared_ptr<const FeatureExtractor> extractor;
  bool with_gradients = false;  // is it attacked too?
};

// One unit for each network: it embeds golden_picture() and, where it is attacked, takes the gradient with respect to
// the pixels. Running the stage throws what embed() throws, and Error(model) for a gradient that cannot be taken.
class TrialStage : public Stage {
 public:
  using Stage::Stage;
  // A sentence for each network that does not compute as the run asks for, by FeatureExtractor::deviation().
  virtual std::vector<std::string> notes(const ArtifactStore& store) const = 0;
};

std::shared_ptr<TrialStage> trial_stage(std::vector<TriedNetwork> networks, const RunOptions& options);

}  // namespace facepoison
