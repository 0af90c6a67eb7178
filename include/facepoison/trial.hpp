// Runs each network of an experiment once, before photos are perturbed, to report an unusable one early.
#pragma once
#include <memory>

#include "facepoison/extractor.hpp"
#include "facepoison/stage.hpp"

namespace facepoison {

struct TriedNetwork {
  std::shared_ptr<const FeatureExtractor> extractor;
  bool with_gradients = false;  // it is attacked too
};

// One unit for each network: it embeds golden_picture() and, if it is attacked, computes the gradient with respect to
// the pixels. Running the stage throws as embed(), and Error(model) if the gradient cannot be computed.
class TrialStage : public Stage {
 public:
  using Stage::Stage;
  // A sentence for each network that does not compute as the run requests, by FeatureExtractor::deviation().
  virtual std::vector<std::string> notes(const ArtifactStore& store) const = 0;
};

std::shared_ptr<TrialStage> trial_stage(std::vector<TriedNetwork> networks, const RunOptions& options);

}  // namespace facepoison
