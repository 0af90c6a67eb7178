#include "experiments/people_pairs.hpp"

#include <cmath>

#include "facepoison/verification.hpp"
#include "experiments/measures.hpp"

namespace facepoison {

PeoplePairs::PeoplePairs(std::vector<torch::Tensor> people) : people_(std::move(people)) {
  if (!people_.empty()) all_ = torch::cat(people_);
}

void PeoplePairs::for_each(const std::function<void(std::size_t, const torch::Tensor&)>& visit) const {
  std::int64_t first = 0;
  for (std::size_t person = 0; person < people_.size(); ++person) {
    visit(person, 1 - people_[person].mm(all_.slice(0, first).t()));
    first += people_[person].size(0);
  }
}

std::int64_t PeoplePairs::impostors() const {
  std::int64_t pairs = 0, before = 0;
  for (const auto& photos : people_) {
    pairs += before * photos.size(0);
    before += photos.size(0);
  }
  return pairs;
}

std::vector<double> PeoplePairs::thresholds(std::span<const char* const> rates) const {
  const auto pairs = static_cast<double>(impostors());
  if (pairs == 0) return std::vector(rates.size(), std::nan(""));
  BottomK nearest(let_through(std::stod(rates.back()), pairs) + 1);
  for_each([&](std::size_t person, const torch::Tensor& distances) {
    nearest.add(numbers(distances.slice(1, people_[person].size(0))));
  });
  std::vector<double> found;
  for (const auto* rate : rates) found.push_back(nearest.at(let_through(std::stod(rate), pairs)));
  return found;
}

}  // namespace facepoison
