#include "facepoison/verification.hpp"

#include <algorithm>
#include <cmath>

#include "facepoison/classifier.hpp"

namespace facepoison {

torch::Tensor directions(const torch::Tensor& rows) {
  const auto wide = rows.to(torch::kFloat64);
  const auto lengths = wide.norm(2, 1, true);
  if ((lengths == 0).any().item<bool>()) throw NoDirection();
  return wide / lengths;
}

std::size_t let_through(double rate, double impostors) {
  return static_cast<std::size_t>(std::floor(rate * impostors + 1e-9));
}

torch::Tensor draws_of_people(std::int64_t people, std::int64_t draws, Seed seed) {
  auto times = torch::ones({draws, people}, torch::kFloat64);
  auto time = times.accessor<double, 2>();
  Stream stream(seed, "draws-of-people");
  for (std::int64_t d = 1; d < draws; ++d) {
    const auto row = times[d];
    do {
      row.zero_();
      for (std::int64_t k = 0; k < people; ++k) time[d][stream.below(static_cast<std::uint64_t>(people))] += 1;
    } while (people > 1 && row.max().item<double>() == static_cast<double>(people));
  }
  return times;
}

PhotoPairs::PhotoPairs(const torch::Tensor& embeddings, const std::vector<std::int64_t>& people) {
  const auto unit = directions(embeddings);
  const auto matrix = (1 - unit.mm(unit.t())).contiguous();
  const auto distance = matrix.accessor<double, 2>();
  const auto count = people.empty() ? 0 : *std::max_element(people.begin(), people.end()) + 1;
  genuine_.resize(static_cast<std::size_t>(count));
  for (auto* sums : {&counts_, &distances_, &squares_}) *sums = torch::zeros({count, count}, torch::kFloat64);
  auto counted = counts_.accessor<double, 2>(), summed = distances_.accessor<double, 2>(),
       squared = squares_.accessor<double, 2>();
  for (std::size_t i = 0; i < people.size(); ++i)
    for (std::size_t j = i + 1; j < people.size(); ++j) {
      const auto a = people[i], b = people[j];
      const double apart = distance[static_cast<std::int64_t>(i)][static_cast<std::int64_t>(j)];
      counted[a][b] += 1, summed[a][b] += apart, squared[a][b] += apart * apart;
      if (a == b)
        genuine_[static_cast<std::size_t>(a)].push_back(apart);
      else
        impostors_.push_back({apart, static_cast<std::int32_t>(a), static_cast<std::int32_t>(b)});
    }
  for (auto& own : genuine_) std::sort(own.begin(), own.end());
  std::sort(impostors_.begin(), impostors_.end(),
            [](const Impostor& x, const Impostor& y) { return x.distance < y.distance; });
}

// `times`: how often each person was drawn; `impostors`: the number of pairs of different people in this draw.
double PhotoPairs::accepted(const double* times, double impostors) const {
  if (impostors == 0) return unknown;
  const auto most = static_cast<double>(let_through(false_accepts, impostors));
  double nearer = 0, threshold = std::numeric_limits<double>::infinity();
  for (const auto& pair : impostors_) {
    nearer += times[pair.a] * times[pair.b];
    threshold = pair.distance;
    if (nearer > most) break;
  }
  double accepted = 0, all = 0;
  for (std::size_t p = 0; p < genuine_.size(); ++p) {
    if (times[p] == 0) continue;
    const auto& own = genuine_[p];
    accepted += times[p] * static_cast<double>(std::lower_bound(own.begin(), own.end(), threshold) - own.begin());
    all += times[p] * static_cast<double>(own.size());
  }
  return accepted / all;
}

namespace {

// Sums for each draw over the pairs of one person, or of different people, as often as they were drawn.
torch::Tensor over_genuine(const torch::Tensor& sums, const torch::Tensor& draws) { return draws.mv(sums.diagonal()); }

torch::Tensor over_impostors(const torch::Tensor& sums, const torch::Tensor& draws) {
  return (draws.mm(sums - sums.diagonal().diag()) * draws).sum(1);
}

}  // namespace

std::vector<double> PhotoPairs::d_primes(const torch::Tensor& draws) const {
  const auto moments = [&](const auto& over) {
    const auto count = over(counts_, draws), centre = over(distances_, draws) / count;
    return std::pair(centre, over(squares_, draws) / count - centre.square());
  };
  const auto [near, near_variance] = moments(over_genuine);
  const auto [far, far_variance] = moments(over_impostors);
  const auto apart = ((far - near) / ((near_variance + far_variance) / 2).sqrt()).contiguous();
  return {apart.data_ptr<double>(), apart.data_ptr<double>() + apart.numel()};
}

std::vector<Verification> PhotoPairs::measure(const torch::Tensor& draws) const {
  const auto times = draws.contiguous(), impostors = over_impostors(counts_, times).contiguous();
  const auto apart = d_primes(times);
  std::vector<Verification> measured;
  for (std::int64_t d = 0; d < times.size(0); ++d)
    measured.push_back(
        {accepted(times[d].data_ptr<double>(), impostors[d].item<double>()), apart[static_cast<std::size_t>(d)]});
  return measured;
}

}  // namespace facepoison
