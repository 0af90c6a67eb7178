// Pairs of photos of some people, by cosine distance, in blocks that fit into memory.
#pragma once
#include <torch/types.h>

#include <functional>
#include <span>
#include <vector>

namespace facepoison {

class PeoplePairs {
 public:
  // Each person's photos as directions(): N×D.
  explicit PeoplePairs(std::vector<torch::Tensor> people);

  // Calls `visit` for each person, in order, with the distances of the person's photos to all photos from the person's
  // first one on: N×(N+M), the person's own N columns first.
  void for_each(const std::function<void(std::size_t person, const torch::Tensor& distances)>& visit) const;

  std::int64_t impostors() const;  // pairs of different people
  // For each rate, the distance below which at most that share of the pairs of different people are; NaN if there are
  // none. `rates`: ascending numbers. See let_through().
  std::vector<double> thresholds(std::span<const char* const> rates) const;

 private:
  std::vector<torch::Tensor> people_;
  torch::Tensor all_;
};

}  // namespace facepoison
