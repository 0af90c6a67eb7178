// Training: a network's card and weights in, a trained card and weights out. One way for all of it, from fresh weights
// (scripts/fresh_networks.py) or from any network there is: the scripted module's own parameters are optimised, and
// those of the loss's head beside them. A recogniser loses its head; a cloak detector keeps it.
#pragma once
#include "facepoison/attack.hpp"
#include "facepoison/model.hpp"
#include "facepoison/prepare.hpp"
#include "facepoison/seen.hpp"
#include "facepoison/transform.hpp"

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

struct OptimiserSettings {
  std::string kind;  // "adamw", "sgd", "adadelta"
  double rate = 0, weight_decay = 0, momentum = 0;
  // Reads "optimiser", "rate", "weight_decay" and, of sgd, "momentum"; the rate's default is the optimiser's.
  static OptimiserSettings from(Spec& spec);
};

// What else a person's photos are seen as: perturbed, and then through a transform where there is one.
struct Twin {
  std::shared_ptr<const Attack> attack;
  std::shared_ptr<const Transform> transform;
};

struct TrainingConfig {
  std::string name;              // the trained network's, from the config's file name
  Task task = Task::recogniser;  // or a cloak detector
  Card start;                    // card and weights to start from
  Json card;                     // keys that replace those of the start's card
  Dataset dataset;
  std::string perturbed_note;  // of the photos of these people; "" where all are clean
  Json loss;                   // {"kind": …} and its parameters, defaults included
  Augmentation augmentation;
  std::vector<Twin> twins;  // of every photo that is trained on
  // What a clean photo goes through: a recogniser's nothing; a cloak detector's what its twins go through.
  std::vector<std::shared_ptr<const Transform>> clean = {nullptr};
  std::optional<double> twin_share;  // of the draws; without it a twin is drawn like a photo
  double pair = 0;                   // weight of 1 − cos(photo, its twin); a batch is then photos and a twin of each
  bool anchored = false;             // there the photo's embedding stays and the twin's moves
  std::size_t held_out = 0;
  // Kept from training: their 1-NN accuracy is logged; a cloak detector's best step and threshold are chosen on them.
  std::vector<std::string> held_out_people;
  std::vector<std::string> people;  // trained on, sorted
  std::size_t people_per_batch = 0,
              photos_per_person = 0;  // class-balanced; photos with replacement where a person has few
  bool replacement = false;           // of the people of a batch
  std::int64_t steps = 0, warmup = 0, log_every = 0, check_every = 0, checkpoint_every = 0;
  double gradient_limit = 0;
  OptimiserSettings optimiser;
  bool decays = true;               // the rate, as a half cosine; else it stays after the warm-up
  bool batch_norm_learns = true;    // else its statistics and its mode stay the start's
  std::vector<std::string> frozen;  // parameters whose names begin so are left alone
  std::vector<Training> start_saw;  // whom the start saw
  Seed seed = 0;
  RunOptions options;
  Json resolved;  // what decides the weights, defaults included
  bool detects() const { return task == Task::cloak_detector; }
};

// The keys of a training that say how it goes, whoever the people are: "steps", "warmup", "optimiser" and its own,
// "schedule", "batch_norm", "frozen", "gradient_limit", "log_every", "check_every", "checkpoint_every", "batch" and
// "augmentation". The defaults are noted in the spec's record. Returns the reader of "batch", for what else is wrong.
Spec read_how(TrainingConfig& c, Spec& spec);

// Somebody's photos to learn from.
struct Lesson {
  std::vector<Photo> photos;
  std::vector<std::int64_t> labels;      // any numbers
  std::set<std::int64_t> without_twins;  // people whose photos stay as they are
};

// Trains the start of `c` with a dense layer over the people on it, photos and twins; then the logarithm of each
// person's probability for each probe, N×P, with the people's labels, rising. `hash` is of all that decides it;
// `checkpoint` as train()'s; it stays. `pictures` may have been decoded by trainings before.
class DecodedFile;  // see training/photos.hpp
struct ClassScores {
  std::vector<std::int64_t> labels;
  torch::Tensor scores;
};
ClassScores train_classifier(const TrainingConfig& c, const Lesson& lesson, std::span<const Photo> probes,
                             const std::string& hash, const fs::path& checkpoint,
                             const std::shared_ptr<DecodedFile>& pictures, ArtifactStore& store);

// The photos that a training's key "exclude" wants nobody of: those of the protected people of an experiment's config.
using ReadExcluded = std::function<Dataset(const fs::path& experiment)>;

// Reads and checks everything; prepares the photos into the store. Throws Error(usage) for what is wrong in the config,
// Error(model) for the start's file, Error(input) for the data: for perturbed photos too, unless the config's key
// "allow_perturbed" is true.
TrainingConfig read_training(const fs::path& config, const std::vector<std::string>& overrides, bool trust_model,
                             const ReadExcluded& read_excluded, ArtifactStore& store);

// Trains, and writes into `output`: NAME.pt, NAME.json (its card), golden/NAME.npy, training/NAME.csv (step, loss,
// rate, what held-out people say), training/NAME.json (config, seconds, results) and training/NAME.seen.json (whom it
// saw). training/NAME.checkpoint is written on the way, whole or not at all; with it the same call goes on where it was
// and ends with the same weights. Twins are made in the store first. A finished training is not done again. Throws as
// refuse_to_replace(); Error(interrupted) after a checkpoint; Error(failure) when the loss, a weight or the golden
// embedding is not finite, or when nothing was learnt.
void train(const TrainingConfig& config, const fs::path& output, ArtifactStore& store);

// Throws Error(usage) where one of the files that a training of that name writes into `output` is there and is not of
// such a training.
void refuse_to_replace(const std::string& name, const fs::path& output);

// The stages that make a training's photos and their twins. The config must outlive them.
std::vector<std::shared_ptr<Stage>> stages_of(const TrainingConfig& config);

// Losses. A new loss is one class and one row in losses.cpp.
class Loss {
 public:
  virtual ~Loss() = default;
  // embeddings B×D float32, labels B int64 in 0 … people−1 → a scalar to minimise.
  virtual torch::Tensor operator()(const torch::Tensor& embeddings, const torch::Tensor& labels) = 0;
  virtual std::vector<torch::Tensor> parameters() { return {}; }  // class centres, learnt beside the network
  virtual void to(torch::Device) {}                               // makes other parameters, there
};

// A loss over a dense layer, its head: parameters() are the weights C×D and the bias C.
class Dense : public Loss {
 public:
  Dense(std::int64_t classes, std::int64_t dimension, Seed seed);
  std::vector<torch::Tensor> parameters() override { return {weights_, bias_}; }
  void to(torch::Device device) override;
  torch::Tensor scores(const torch::Tensor& embeddings) const;  // B×C

 private:
  torch::Tensor weights_, bias_;
};

struct LossRow {
  std::string name, help;
  Task task;             // that it is for
  bool compares_photos;  // of one person, so that a batch needs two
  std::unique_ptr<Loss> (*make)(Spec&, std::int64_t people, std::int64_t dimension, Seed seed);
};
const std::vector<LossRow>& loss_registry();
bool compares_photos(const std::string& loss);
std::unique_ptr<Loss> make_loss(Spec& spec, std::int64_t people, std::int64_t dimension, Seed seed,
                                Task task = Task::recogniser);

// N views of the photos' canvases (N×3×S×S uint8, N×5×2 landmarks), each changed by its own stream: N×3×side×side in
// [0,1].
torch::Tensor augmented_views(const FeatureExtractor& extractor, const Faces& faces, const Augmentation& how, Seed seed,
                              std::int64_t step);

}  // namespace facepoison
