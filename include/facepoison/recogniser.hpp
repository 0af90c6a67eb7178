// Who is on a probe? A recogniser answers a scenario's games: an extractor with a classifier.
#pragma once
#include "facepoison/world.hpp"

namespace facepoison {

class Recogniser {
 public:
  virtual ~Recogniser() = default;
  // For each of the scenario's games, from the store where it is there. `label` is what the progress says.
  virtual std::vector<Answer> answer(World& world, const Scenario& scenario, const std::string& label) const = 0;
};

// `classifier`: see make_classifier().
std::unique_ptr<Recogniser> make_recogniser(std::shared_ptr<const FeatureExtractor> extractor, Json classifier);

}  // namespace facepoison
