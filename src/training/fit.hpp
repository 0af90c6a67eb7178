// The loop of every training: draw a batch, take a step; check, log, checkpoint.
#pragma once
#include "training/photos.hpp"
#include "training/trainee.hpp"

namespace facepoison {

// A batch that is drawn: it gives its loss when it is called, once, in the thread that learns.
using Batch = std::function<torch::Tensor()>;

struct Fit {
  const TrainingConfig& config;
  Trainee& trainee;
  std::function<Batch(std::int64_t step)> draw;  // called in another thread, while the step before is learnt
  std::vector<torch::Tensor> beside;             // parameters that are learnt beside the network's
  std::string hash;                    // of all that the result depends on; a checkpoint with another hash is refused
  fs::path checkpoint, log;            // the log is a CSV file; an empty path: no log
  std::string called;                  // the name of the check's number in the log
  std::function<double()> check = {};  // on held-out people, every `check_every` steps and after the last
  bool keeps_least = false;            // at the end, restore the state with the least of these numbers
};

// Trains to the last step, from the checkpoint if there is one; does not remove it. Throws what train() throws.
Progression fit(const Fit& fit);

// Draws batches for a recogniser or a cloak detector: augmented views, and their loss with the terms `keep` and `pair`.
// All must outlive it.
std::function<Batch(std::int64_t step)> draw_views(const TrainingConfig& config, const TrainingPhotos& known,
                                                   Trainee& trainee, Loss& loss);

// Of K draws of the same N photos, N×3×height×width each, the one with the highest loss for each photo. `losses`: K×N.
torch::Tensor hardest(const std::vector<torch::Tensor>& draws, const torch::Tensor& losses);

// The network's embeddings of the clean photos, in their order, in evaluation mode.
torch::Tensor embed_photos(Trainee& trainee, const TrainingPhotos& known, torch::Device device);

// The network's current accuracy on held-out people: the share of test photos for which the nearest train photo, by
// cosine, is of the same person.
double held_out_accuracy(Trainee& trainee, const TrainingPhotos& known, torch::Device device);

// The scores of a cloak detector, 0 … 1, of photos and of their twins, in every version.
struct Scores {
  std::vector<double> clean, perturbed;
};
Scores held_out_scores(Trainee& trainee, const Dense& head, const TrainingPhotos& known, torch::Device device);
// The cross-entropy of the scores, with equal weight for photos and twins.
double loss_of(const Scores& scores);
// The threshold that best separates photos from twins, by the mean of the shares of both kinds. It is halfway between
// two scores; of several equally good places it is the middle one.
double best_threshold(const Scores& scores);

}  // namespace facepoison
