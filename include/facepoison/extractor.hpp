// Faces to embeddings. The settings of a card are applied here, once for all recognisers.
#pragma once
#include <memory>

#include "facepoison/card.hpp"
#include "facepoison/dataset.hpp"
#include "facepoison/device.hpp"

namespace facepoison {

// The view of a recogniser with this card: N×3×height×width float32 RGB in [0,1], on the pixels' device; warped to its
// template by each photo's landmarks, or resized plainly if there are none; differentiable.
torch::Tensor view_under(const Card& card, const Faces& faces);

// The same for a picture's file, on the CPU: resized plainly, in bytes, as PIL or OpenCV do for other pipelines.
torch::Tensor view_under(const Card& card, const Image& picture);

// The pixels of the canvas that a recogniser with this card sees: N×1×H×W float32, 1 inside its crop and 0 outside.
torch::Tensor seen_under(const Card& card, const Faces& faces);

class FeatureExtractor {
 public:
  explicit FeatureExtractor(Card card) : card_(std::move(card)) {}
  virtual ~FeatureExtractor() = default;

  // N×D float32 on the pixels' device, raw (not normalised), differentiable with respect to the pixels. D of a purifier
  // is 3·height·width: its pictures.
  // embed(faces) = embed_view(view(faces)). Throws Error(model) when the network returns another shape than the card's.
  torch::Tensor embed(const Faces& faces) const { return embed_view(view(faces)); }

  torch::Tensor view(const Faces& faces) const { return view_under(card_, faces); }

  // A view to an embedding: channel order, scaling and flip averaging as on the card, then the network.
  torch::Tensor embed_view(const torch::Tensor& view) const;

  // As embed_view(), under another contract than the card's: to find the mistake that explains a difference.
  torch::Tensor embed_view_as(const Card& contract, const torch::Tensor& view) const;

  const Card& card() const { return card_; }
  // What decides an embedding, for cache keys: contract, weights (their file's sha256), precision, device.
  virtual Json identity() const = 0;
  // How its computation differs from its options, as a sentence without a subject, or "". Known once it has embedded.
  virtual std::string deviation() const { return ""; }

 private:
  virtual torch::Tensor forward(const torch::Tensor& prepared) const = 0;  // N×3×height×width, as the network wants it
  Card card_;
};

// Whether both have the same weights, even under other names or from other conversions.
bool same_weights(const FeatureExtractor& a, const FeatureExtractor& b);

// A TorchScript extractor. The file's hash is checked now, the network is loaded at the first embedding.
// Throws Error(usage) for a bad card, Error(model) for a missing or altered file.
std::shared_ptr<const FeatureExtractor> make_extractor(const Card& card, const RunOptions& options);
std::shared_ptr<const FeatureExtractor> make_extractor(const std::string& name_or_card, const RunOptions& options);

// The same for a cloak detector: embeddings are N×1, the logit of "was perturbed".
std::shared_ptr<const FeatureExtractor> make_cloak_detector(const std::string& name_or_card, const RunOptions& options);

// A test picture drawn by a formula, so that it needs no file: 1×3×height×width in [0,1], 8-bit values.
torch::Tensor golden_picture(int height, int width);

}  // namespace facepoison
