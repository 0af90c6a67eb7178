// Finds the usual mistake that explains two different embeddings of one picture.
#pragma once
#include <functional>

#include "facepoison/extractor.hpp"
#include "facepoison/table.hpp"

namespace facepoison {

// A change of a contract. Of two changes of one kind the second would undo the first.
struct Change {
  std::string kind;  // "channels", "scale", "alignment", "interpolation", "resize" or "mirror"
  std::string what;  // "channels bgr", "scale (x − 127.5)/128"
  std::function<void(Card&)> apply;
};
std::vector<Change> usual_changes(const Card& card);

// The contract with these changes: "channels bgr, no alignment".
struct Mistake {
  std::string what;
  Card contract;
};
Mistake changed(const Card& card, const std::vector<Change>& changes);

// The usual changes, each alone, and each pair of different kinds.
std::vector<Mistake> usual_mistakes(const Card& card);

// The settings of `wanted` that differ from those of `card`, as JSON: {"input": {"channels": "bgr"}}.
Json differing(const Card& card, const Card& wanted);

// Compares `reference` (D) with the embedding of one face under each mistake: columns mistake, cosine, max_difference;
// the nearest first, with the unchanged card among them. `aligned` is the face on its canvas, `whole` the picture, for
// recognisers without a template, and for all if nothing was aligned. Throws Error(input) for a reference of another
// dimension.
Table explain(const FeatureExtractor& extractor, const std::optional<Faces>& aligned, const Image& whole,
              const torch::Tensor& reference, torch::Device device);

}  // namespace facepoison
