// The loop of every training: draw people, draw photos of them, change the photos, one step; check, log,
// checkpoint.
#pragma once
#include "training/photos.hpp"
#include "training/trainee.hpp"

namespace facepoison {

struct Fit {
  const TrainingConfig& config;
  const TrainingPhotos& photos;
  Trainee& trainee;
  Loss& loss;
  std::string hash;                    // of all that decides the result: a checkpoint of another is refused
  fs::path checkpoint, log;            // the log is a CSV; without a path there is none
  torch::Tensor kept = {};             // photos × dimension, what `keep` pulls to: the start's embeddings
  std::string called;                  // what the check's number is, in the log
  std::function<double()> check = {};  // of held-out people, every `check_every` steps and after the last
  bool keeps_least = false;            // what the step with the least of these numbers had learnt stays at the end
};

// Trains to the last step, from the checkpoint where it is there; it stays. Throws what train() throws.
Progression fit(const Fit& fit);

// The network's embeddings of the clean photos, in their order, in evaluation mode.
torch::Tensor embed_photos(Trainee& trainee, const TrainingPhotos& known, torch::Device device);

// The accuracy of a network, as it is, on held-out people: the share of their test photos whose nearest train photo, by
// cosine, is of the same person.
double held_out_accuracy(Trainee& trainee, const TrainingPhotos& known, torch::Device device);

// The scores of a cloak detector, 0 … 1, of photos and of their twins, each of every version.
struct Scores {
  std::vector<double> clean, perturbed;
};
Scores held_out_scores(Trainee& trainee, const Dense& head, const TrainingPhotos& known, torch::Device device);
// The cross-entropy of the scores, with photos and twins weighing the same.
double loss_of(const Scores& scores);
// The threshold that tells most photos and twins apart, by the mean of the shares of both kinds: halfway between two
// scores; of several such places the middle one.
double best_threshold(const Scores& scores);

}  // namespace facepoison
