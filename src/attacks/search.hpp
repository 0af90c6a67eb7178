// The bookkeeping of attacks that optimise a batch of photos: unfinished photos, best pictures, trace.
#pragma once
#include "attacks/registry.hpp"

namespace facepoison {

// The unfinished photos of a batch, the best picture of each, and the measurements of each step.
class Search {
 public:
  // A photo leaves when its best has not changed for `patience` steps (0: never), or when its loss is not finite.
  Search(const torch::Tensor& pixels, std::int64_t patience);

  // note() records what was measured at a step; offer() keeps pictures that are better than their photo's best so far.
  // All arguments have a row for each photo that is still here; `step`: the number of steps that made the picture.
  void note(const torch::Tensor& loss, const torch::Tensor& distance, const torch::Tensor& own_measure);
  void offer(std::int64_t step, const torch::Tensor& pixels, const torch::Tensor& score,
             const torch::Tensor& feasible);  // a higher score is better

  // Ends step number `step` (from 1): removes the rows of finished photos from every state. False when no photo is
  // left.
  bool go_on(std::int64_t step, const std::vector<torch::Tensor*>& states);

  // Of the whole batch:
  torch::Tensor here;            // rows of the unfinished photos
  torch::Tensor best, pictures;  // −∞ and NaN where nothing feasible was offered
  std::vector<std::int64_t> iterations() const;
  torch::Tensor trace() const;

 private:
  std::int64_t patience_;
  torch::Tensor changed_, steps_, finite_;
  std::vector<torch::Tensor> notes_;
};

}  // namespace facepoison
