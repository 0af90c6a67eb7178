// Training: a recogniser's card and weights in, a trained card and weights out. One way for all of it, from fresh
// weights (scripts/fresh_networks.py) or from any recogniser there is: the scripted module's own parameters are
// optimised.
#pragma once
#include "facepoison/extractor.hpp"
#include "facepoison/model.hpp"
#include "facepoison/prepare.hpp"

namespace facepoison {

struct Augmentation {
  double flip = 0.5;     // share of photos mirrored
  double scale = 0.08;   // σ of the logarithm of the crop's size
  double rotate = 0.06;  // σ, radians
  double shift = 0.03;   // σ, share of the crop's side
  double light = 0.15;   // σ of the logarithm of brightness and contrast
  double colour = 0.06;  // σ of the logarithm of each channel's gain; saturation moves by three times that
  double grey = 0.05;    // share of photos without colour
  double blur = 0.2;     // share of photos blurred, by a Gaussian of σ up to 1.5 pixels
  double noise = 0.02;   // largest σ of added noise, pixels in [0,1]
  double jpeg = 0.3;     // share of photos compressed again, quality 30 … 95
  double erase = 0.2;    // share of photos with a rectangle of noise, up to a sixth of the picture
  static Augmentation from(Spec& spec);
};

struct TrainingConfig {
  std::string name;  // the trained recogniser's, from the config's file name
  Card start;        // card and weights to start from
  Json card;         // keys that replace those of the start's card
  Dataset dataset;
  Json loss;  // {"kind": …} and its parameters, defaults included
  Augmentation augmentation;
  std::size_t held_out = 0;
  std::vector<std::string> held_out_people;  // kept from training; their 1-NN accuracy is logged
  std::vector<std::string> people;           // trained on, sorted
  std::size_t people_per_batch = 0,
              photos_per_person = 0;  // class-balanced: people without, photos with replacement where few
  std::int64_t steps = 0, warmup = 0, log_every = 0, check_every = 0, checkpoint_every = 0;
  double rate = 0, weight_decay = 0, gradient_limit = 0;
  Seed seed = 0;
  RunOptions options;
  Json resolved;  // what decides the weights, defaults included
};

// Reads and checks everything; prepares the photos into the store. Throws Error(usage) for what is wrong in the config,
// Error(model) for the start's file, Error(input) for the data.
TrainingConfig read_training(const fs::path& config, const std::vector<std::string>& overrides, bool trust_model,
                             ArtifactStore& store);

// Trains, and writes into `output`: NAME.pt, NAME.json (its card), golden/NAME.npy, training/NAME.csv (step, loss,
// rate, held-out accuracy) and training/NAME.json (config, seconds, results). training/NAME.checkpoint is written on
// the way, whole or not at all; with it the same call goes on where it was and ends with the same weights. A finished
// training is not done again. Throws Error(interrupted) after a checkpoint, Error(failure) when the loss is not finite.
void train(const TrainingConfig& config, const fs::path& output);

// Losses. A new loss is one class and one row in losses.cpp.
class Loss {
 public:
  virtual ~Loss() = default;
  // embeddings B×D float32, labels B int64 in 0 … people−1 → a scalar to minimise.
  virtual torch::Tensor operator()(const torch::Tensor& embeddings, const torch::Tensor& labels) = 0;
  virtual std::vector<torch::Tensor> parameters() { return {}; }  // class centres, learnt beside the network
  virtual void to(torch::Device) {}                               // makes other parameters, there
};

struct LossRow {
  std::string name, help;
  std::unique_ptr<Loss> (*make)(Spec&, std::int64_t people, std::int64_t dimension, Seed seed);
};
const std::vector<LossRow>& loss_registry();
std::unique_ptr<Loss> make_loss(Spec& spec, std::int64_t people, std::int64_t dimension, Seed seed);

// N views of the photos' canvases (N×3×S×S uint8, N×5×2 landmarks), each changed by its own stream: N×3×side×side in
// [0,1].
torch::Tensor augmented_views(const FeatureExtractor& extractor, const Faces& faces, const Augmentation& how, Seed seed,
                              std::int64_t step);

}  // namespace facepoison
