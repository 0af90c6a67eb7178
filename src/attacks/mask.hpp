// Attacks that learn a mask: one perturbation of a person's photos, which is added to all of them, also to those that
// it was not learned from.
#pragma once
#include <functional>

#include "attacks/registry.hpp"

namespace facepoison {

class MaskAttack : public Attack {
 public:
  // How a mask is learned from batches of photos.
  struct Course {
    std::int64_t epochs, batch;
    double start, step;
    bool shuffled;  // each epoch has an order of its own
    // Of one surrogate's embeddings of a batch, without and with the mask, N×D: a number.
    std::function<torch::Tensor(const torch::Tensor& clean, const torch::Tensor& masked)> loss;
    // Of the batch's DSSIM, N: a number. See penalty_weight().
    std::function<torch::Tensor(const torch::Tensor& distances)> penalty;
    double low, high;
    bool seen;  // DSSIM counts the windows that a surrogate sees
  };

  // `epsilon`: the largest change of a channel, a share of 1. It is rounded down to whole grey levels, so that rounding
  // to 8 bits cannot exceed it.
  MaskAttack(AttackSettings settings, double epsilon);

  bool learns_masks() const final { return true; }

 protected:
  using Rows = std::vector<std::int64_t>;

  // Networks see this many photos at once: for a gradient they keep every layer.
  static constexpr std::size_t chunk = 4;

  double epsilon() const { return epsilon_; }

  static std::vector<Rows> in_batches(const Rows& rows, std::size_t size);  // the last one may be smaller
  static Faces some_of(const Faces& photos, const Rows& rows);

  // Embeddings of length one, N×D for each surrogate, without a gradient.
  std::vector<torch::Tensor> embed_all(const Faces& photos) const;

  // A loss of one surrogate's embeddings of length one, N×D: a number.
  using Loss = std::function<torch::Tensor(std::size_t surrogate, const torch::Tensor& embeddings)>;

  // The slope, in the mask, of the loss of the photos with the mask: 3×H×W, the sum over surrogates.
  torch::Tensor slope(const Faces& photos, const torch::Tensor& mask, const Loss& loss) const;

  // The start of the person's mask: uniform in [−size, size), within ±epsilon, where a surrogate sees the canvas; 0
  // elsewhere.
  torch::Tensor start(const Faces& photos, Seed seed, const std::string& purpose, double size) const;

  // The mask after a step of this size against the slope's sign, within ±epsilon.
  torch::Tensor stepped(const torch::Tensor& mask, const torch::Tensor& slope, double step) const;

  torch::Tensor learn(const Faces& photos, Seed seed, const std::string& purpose, const Course& course) const;

 private:
  Found run(const Faces& faces, const Faces& masks, Seed seed) const final;
  // The mean over surrogates of 1 − the cosine between the embeddings.
  torch::Tensor own_measure(const Faces& faces, const Faces& masks, const torch::Tensor& pixels) const final;

  // One surrogate's, N×D; differentiable.
  torch::Tensor embed(std::size_t surrogate, const Faces& photos) const;

  double epsilon_;
};

// The next weight of a penalty on a distance: half at `low` or less, twice at `high` or more, 1 between. A weight below
// 1/129 is not halved again, one above 129 not doubled.
double penalty_weight(double weight, double distance, double low, double high);

// −log(det(G + 1e-4·I) + 1e-4), where G has the products of these embeddings (N×D, of length one) with each other: a
// number. It is large if they point the same way.
torch::Tensor closeness(const torch::Tensor& embeddings);

}  // namespace facepoison
