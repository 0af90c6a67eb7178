// How a purifier is trained: its batches, its loss, and how held-out people's photos judge it.
#pragma once
#include "training/fit.hpp"

namespace facepoison {

// x + a·(y − x), within [0, 1], for photos x and their twins y, N×3×H×W in [0, 1]; a from 1 to 2, for each photo its
// own, from a stream for each seed and step.
torch::Tensor amplified(const torch::Tensor& photos, const torch::Tensor& twins, Seed seed, std::int64_t step);

// What is left of perturbations in N pictures of clean photos: (1 + M)×N float32. The first row is the mean absolute
// difference of the pixels; the others are 1 − cos of the embeddings by M extractors. Differentiable in the pictures.
torch::Tensor differences(const torch::Tensor& pictures, const Faces& clean, const Surrogates& features);

// The first of the differences' means, plus the weighted sum of the others.
torch::Tensor purifier_loss(const torch::Tensor& differences, double feature_weight);

// Draws batches for a purifier: photos, and the twin of each, amplified. All must outlive it.
std::function<Batch(std::int64_t step)> draw_pairs(const TrainingConfig& config, const TrainingPhotos& known,
                                                   Trainee& trainee);

// The means of the differences, 1 + M numbers on the CPU, over all twins and over all photos.
struct Purity {
  torch::Tensor twins, photos;
};
Purity purity_before(const TrainingConfig& config, const TrainingPhotos& known);
Purity purity_after(const TrainingConfig& config, const TrainingPhotos& known, Trainee& trainee);
double loss_of(const Purity& purity, double feature_weight);
Json record_of(const Purity& purity, const Surrogates& features);  // for a training's record

}  // namespace facepoison
