// Two embeddings of one picture differ: which of the usual mistakes explains it?
#pragma once
#include "facepoison/extractor.hpp"
#include "facepoison/table.hpp"

namespace facepoison {

// The contract's alternatives: channel order, scaling, alignment, interpolation, resizing, mirror averaging; each
// alone, and each pair.
struct Mistake {
  std::string what;  // "channels bgr", "scale (x − 127.5)/128, no alignment"
  Card contract;
};
std::vector<Mistake> usual_mistakes(const Card& card);

// How near `reference` (D) each mistake brings the embedding of one face: columns mistake, cosine, max_difference; the
// nearest first, with the card as it is in its place. `aligned` is the face on its canvas, `whole` the picture, which
// recognisers without a template see, and every one where nothing was aligned. Throws Error(input) for a reference of
// another dimension.
Table explain(const FeatureExtractor& extractor, const std::optional<Faces>& aligned, const Image& whole,
              const torch::Tensor& reference, torch::Device device);

}  // namespace facepoison
