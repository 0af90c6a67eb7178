// Training: a network's card and weights in, a trained card and weights out. The same for fresh weights
// (scripts/fresh_networks.py) and for any existing network: the scripted module's own parameters are optimised,
// together with those of the loss's head. A recogniser loses its head; a cloak detector keeps it; a purifier has none.
#pragma once
#include "facepoison/attack.hpp"
#include "facepoison/augmentation.hpp"
#include "facepoison/losses.hpp"
#include "facepoison/model.hpp"
#include "facepoison/optimiser.hpp"
#include "facepoison/prepare.hpp"
#include "facepoison/seen.hpp"
#include "facepoison/transform.hpp"

namespace facepoison {

// A second version of a person's photos: perturbed, and then transformed if there is a transform.
struct Twin {
  std::shared_ptr<const Attack> attack;
  std::shared_ptr<const Transform> transform;
};

// How a network is trained, on any people.
struct Recipe {
  LossChoice loss;
  Augmentation augmentation;
  OptimiserSettings optimiser;
  std::int64_t steps = 0, warmup = 0, log_every = 0, check_every = 0, checkpoint_every = 0;
  double gradient_limit = 0;        // largest norm of all gradients together
  bool decays = true;               // the rate, as a half cosine; else it stays after the warm-up
  bool batch_norm_learns = true;    // else its statistics and mode stay as in the start
  std::vector<std::string> frozen;  // starts of names of parameters that do not learn
  std::size_t people_per_batch = 0,
              photos_per_person = 0;  // class-balanced; photos with replacement if a person has few
  bool replacement = false;           // of the people of a batch
  std::optional<double> twin_share;   // of the draws; none: a twin is drawn like a photo
  double pair = 0;                    // weight of 1 − cos(photo, its twin); a batch is then photos and a twin of each
  bool anchored = false;              // with `pair`: only the twin's embedding moves
  double keep = 0;                    // weight of 1 − cos(a photo or twin, the start's embedding of the photo)
};

// What it is trained on.
struct TrainingData {
  Dataset dataset;
  std::string perturbed_note;       // of the photos of these people; "" if all are clean
  std::vector<std::string> people;  // trained on, sorted
  // Kept from training: their 1-NN accuracy is logged; the best step of a cloak detector or a purifier, and a cloak
  // detector's threshold, are chosen on them.
  std::vector<std::string> held_out;
  std::vector<Twin> twins;  // of every training photo
  // Transforms of clean photos: none for a recogniser; those of the twins for the others.
  std::vector<std::shared_ptr<const Transform>> clean = {nullptr};
};

// What differs on the trained card from the start's; absent: the same.
struct CardChanges {
  struct Style {
    std::string name, year;
  };
  std::optional<std::string> title, released, licence, notes;
  std::optional<Style> in_style_of;
  // Reads keys of these names. Throws Error(usage).
  static CardChanges from(Spec& spec);
  void apply(Json& card) const;
};

// What the loss of a purifier compares besides pixels.
struct Purification {
  Surrogates features;        // extractors: the embeddings of the purified and of the clean photo
  double feature_weight = 0;  // of the sum of 1 − cos over them
};

struct TrainingConfig {
  std::string name;                       // the trained network's, from the config's file name
  Task task = Task::recogniser;           // or a cloak detector, or a purifier
  Card start;                             // card and weights to start from
  std::vector<Training> start_trainings;  // what the start was trained on
  Recipe recipe;
  TrainingData data;
  Purification purification;
  CardChanges card;
  Seed seed = 0;
  RunOptions options;
  Json resolved;  // what decides the weights, defaults included
  bool detects() const { return task == Task::cloak_detector; }
  bool purifies() const { return task == Task::purifier; }
  // A cloak detector can start from a purifier; its one number is then how much the purifier takes away.
  bool detects_by_purifier() const { return detects() && start.task == Task::purifier; }
  // Whether it learns from photos, each with one of its twins, and is judged by those of held-out people.
  bool needs_twins() const { return task != Task::recogniser; }
};

// Reads the keys of a recipe, except loss and twins: "steps", "warmup", "optimiser" and its own, "schedule",
// "batch_norm", "frozen", "gradient_limit", "log_every", "check_every", "checkpoint_every", "batch" and "augmentation".
// The defaults are noted in the spec's record, except the augmentation's. Returns the reader of "batch", for other
// errors. Throws Error(usage).
Spec read_recipe(Recipe& recipe, Spec& spec);

// Photos to learn from, and their people.
struct LabelledPhotos {
  std::vector<Photo> photos;
  std::vector<std::int64_t> labels;      // any numbers, one for each photo
  std::set<std::int64_t> without_twins;  // labels of people whose photos stay as they are
};

class DecodedFile;  // see training/photos.hpp

// Trains the start of `c` with a dense layer over the people on it, photos and twins; returns the logarithm of each
// person's probability for each probe, N×P float32 on the CPU, with the people's labels, ascending. `hash` is of all
// that decides it; `checkpoint` is as train()'s, and is kept. `pictures` may be decoded already. Throws as train();
// Error(usage) if a batch needs more people than there are.
struct ClassScores {
  std::vector<std::int64_t> labels;
  torch::Tensor scores;
};
ClassScores train_classifier(const TrainingConfig& c, const LabelledPhotos& gallery, std::span<const Photo> probes,
                             const std::string& hash, const fs::path& checkpoint,
                             const std::shared_ptr<DecodedFile>& pictures, ArtifactStore& store);

// Reads the photos of people that a training's key "exclude" leaves out: an experiment's protected people.
using ReadExcluded = std::function<Dataset(const fs::path& experiment)>;

// Reads and checks everything; prepares the photos into the store. Throws Error(usage) for what is wrong in the config,
// Error(model) for the start's file, Error(input) for the data: for perturbed photos too, unless the config's key
// "allow_perturbed" is true.
TrainingConfig read_training(const fs::path& config, const std::vector<std::string>& overrides, bool trust_model,
                             const ReadExcluded& read_excluded, ArtifactStore& store);

// Trains, and writes into `output`: NAME.pt, NAME.json (its card), golden/NAME.npy, training/NAME.csv (step, loss,
// rate, results on held-out people), training/NAME.json (config, seconds, results) and training/NAME.seen.json (the
// people in it). training/NAME.checkpoint is written during training, whole or not at all; the same call continues from
// it and ends with the same weights. Twins are made in the store first. A finished training is not repeated. Throws as
// refuse_to_replace(); Error(interrupted) after a checkpoint; Error(failure) when the loss, a weight or the golden
// embedding is not finite, or when nothing was learnt.
void train(const TrainingConfig& config, const fs::path& output, ArtifactStore& store);

// Throws Error(usage) if `output` has a file that a training of that name would write, but that is not of such a
// training.
void refuse_to_replace(const std::string& name, const fs::path& output);

// The stages that make a training's photos and their twins. The config must outlive them.
std::vector<std::shared_ptr<Stage>> stages_of(const TrainingConfig& config);

}  // namespace facepoison
