// Two embeddings of one picture differ: which of the usual mistakes explains it?
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

// What `wanted` has on its card that `card` has otherwise, as JSON: {"input": {"channels": "bgr"}}.
Json differing(const Card& card, const Card& wanted);

// How near `reference` (D) each mistake brings the embedding of one face: columns mistake, cosine, max_difference; the
// nearest first, with the card as it is in its place. `aligned` is the face on its canvas, `whole` the picture, which
// recognisers without a template see, and every one where nothing was aligned. Throws Error(input) for a reference of
// another dimension.
Table explain(const FeatureExtractor& extractor, const std::optional<Faces>& aligned, const Image& whole,
              const torch::Tensor& reference, torch::Device device);

}  // namespace facepoison
