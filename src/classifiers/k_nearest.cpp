// The k nearest gallery photos vote (Euclidean on raw embeddings). Most votes win; a tie goes to the person of the
// nearest photo, where scikit-learn takes the lowest label. The distance is that of the winner's nearest photo. A swap
// does not start anew: each probe keeps enough nearest rows that k are left without those of any one person.
#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "classifiers/registry.hpp"
#include "facepoison/device.hpp"
#include "facepoison/interrupt.hpp"

namespace facepoison {
namespace {

struct Voter {
  double distance;
  std::int64_t row;
  bool operator<(const Voter& other) const {
    return distance < other.distance || (distance == other.distance && row < other.row);
  }
};
using Voters = std::vector<Voter>;  // nearest first

double distance_of(const double* a, const double* b, std::int64_t dimension) {
  double sum = 0;
  for (std::int64_t d = 0; d < dimension; ++d) sum += (a[d] - b[d]) * (a[d] - b[d]);
  return std::sqrt(sum);
}

// The `count` nearest of the known rows. A matrix product finds the candidates. Its last bits may differ for equal
// rows, so the candidates are measured again. `rough`: squared distances, without the probe's square.
Voters nearest_of(const torch::Tensor& rough, const torch::Tensor& known, const torch::Tensor& probe,
                  std::size_t count) {
  const double* distances = rough.data_ptr<double>();
  std::vector<double> sorted(distances, distances + rough.numel());
  count = std::min(count, sorted.size());
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(count - 1), sorted.end());
  const double limit = sorted[count - 1] + 1e-9 * (std::abs(sorted[count - 1]) + probe.square().sum().item<double>());
  Voters found;
  const auto dimension = known.size(1);
  for (std::int64_t g = 0; g < rough.numel(); ++g)
    if (distances[g] <= limit)
      found.push_back({distance_of(known.data_ptr<double>() + g * dimension, probe.data_ptr<double>(), dimension), g});
  std::sort(found.begin(), found.end());
  found.resize(count);
  return found;
}

// The same for each probe.
std::vector<Voters> nearest_of_each(const torch::Tensor& known, const torch::Tensor& sought, std::size_t count) {
  const auto squares = known.square().sum(1);
  std::vector<Voters> found;
  constexpr std::int64_t block = 256;
  for (std::int64_t start = 0; start < sought.size(0); start += block) {
    stop_if_interrupted();
    const auto some = sought.narrow(0, start, std::min(block, sought.size(0) - start));
    const auto rough = at::addmm(squares.unsqueeze(0), some, known.t(), 1, -2).contiguous();
    for (std::int64_t i = 0; i < some.size(0); ++i) found.push_back(nearest_of(rough[i], known, some[i], count));
  }
  return found;
}

// Sets the p-th probe's label and distance.
void vote(const Voters& voters, const std::vector<std::int64_t>& labels, std::size_t p, Prediction& out) {
  std::map<std::int64_t, std::size_t> votes;
  for (const auto& voter : voters) ++votes[labels[static_cast<std::size_t>(voter.row)]];
  const Voter* winner = nullptr;
  std::size_t most = 0;
  for (const auto& voter : voters) {  // nearest first, so the nearest wins a tie
    const auto count = votes[labels[static_cast<std::size_t>(voter.row)]];
    if (count > most) winner = &voter, most = count;
  }
  out.labels[p] = labels[static_cast<std::size_t>(winner->row)];
  out.distances[p] = winner->distance;
}

// The person's rank among all people, by votes and then by their nearest photo; 0 if the gallery lacks the person.
std::int64_t rank_of(std::int64_t person, Voters all, const std::vector<std::int64_t>& labels, std::size_t k) {
  std::sort(all.begin(), all.end());
  std::map<std::int64_t, std::pair<std::int64_t, std::size_t>>
      people;  // −votes, and how many photos are nearer than the nearest
  for (std::size_t n = 0; n < all.size(); ++n) {
    auto& standing = people.try_emplace(labels[static_cast<std::size_t>(all[n].row)], 0, n).first->second;
    standing.first -= n < k;
  }
  if (!people.count(person)) return 0;
  return 1 + std::count_if(people.begin(), people.end(),
                           [&](const auto& other) { return other.second < people.at(person); });
}

Prediction room_for(std::size_t probes) { return {std::vector<std::int64_t>(probes), std::vector<double>(probes)}; }

class KNearest final : public Classifier {
 public:
  explicit KNearest(std::size_t k) : k_(k) {}

  Prediction predict(const torch::Tensor& gallery, const std::vector<std::int64_t>& labels,
                     const torch::Tensor& probes) const override {
    check(gallery, labels, probes);
    const auto nearest = nearest_of_each(gallery.to(torch::kFloat64), probes.to(torch::kFloat64), k_);
    Prediction out = room_for(nearest.size());
    for (std::size_t p = 0; p < nearest.size(); ++p) vote(nearest[p], labels, p, out);
    return out;
  }

  std::unique_ptr<Trained> train(const torch::Tensor& gallery, const std::vector<std::int64_t>& labels,
                                 const torch::Tensor& probes) const override {
    return std::make_unique<Base>(*this, gallery, labels, probes);
  }

 private:
  // A clean gallery, and each probe's nearest rows in it: k, plus the largest number of photos of a person. `known`,
  // `sought`: gallery and probes in double.
  struct Base final : Trained {
    const KNearest& classifier;
    torch::Tensor gallery, probes, known, sought;
    std::vector<std::int64_t> labels;
    std::size_t spare = 0;
    std::vector<Voters> nearest;

    Base(const KNearest& by, const torch::Tensor& clean, const std::vector<std::int64_t>& names,
         const torch::Tensor& asked)
        : classifier(by),
          gallery(clean),
          probes(asked),
          known(clean.to(torch::kFloat64).contiguous()),
          sought(asked.to(torch::kFloat64).contiguous()),
          labels(names) {
      check(clean, names, asked);
      for (const auto& [label, rows] : rows_by_label(names)) spare = std::max(spare, rows.size());
      nearest = nearest_of_each(known, sought, by.k_ + spare);
    }

    std::vector<Prediction> predict_swapped(std::span<const Swap> swaps) const override {
      std::vector<Prediction> out;
      for (const auto& swap : swaps) out.push_back(after(swap));
      return out;
    }

    Prediction after(const Swap& swap) const {
      check_swap(swap, probes);
      if (swap.rows.size() + swap.removed.size() > spare) {
        const auto [changed, names] = swapped(gallery, labels, swap);
        return classifier.predict(changed, names, probes);
      }
      const auto features = swap.features.to(torch::kFloat64).contiguous();
      auto rows = swap.rows, names = labels;
      names.insert(names.end(), swap.added.begin(), swap.added.end());
      for (std::size_t n = 0; n < swap.added.size(); ++n)
        rows.push_back(gallery.size(0) + static_cast<std::int64_t>(n));
      Prediction out = room_for(nearest.size());
      if (!swap.asked.empty()) out.ranks = ranks(swap, features, names);
      const auto dimension = sought.size(1);
      in_pieces(torch::kCPU, nearest.size(), 64, [&](std::size_t first, std::size_t count) {
        for (auto p = first; p < first + count; ++p) {
          Voters voters;
          for (const auto& voter : nearest[p])
            if (!std::binary_search(swap.rows.begin(), swap.rows.end(), voter.row) &&
                !std::binary_search(swap.removed.begin(), swap.removed.end(), voter.row))
              voters.push_back(voter);
          const double* probe = sought.data_ptr<double>() + static_cast<std::int64_t>(p) * dimension;
          for (std::size_t n = 0; n < rows.size(); ++n)
            voters.push_back(
                {distance_of(features.data_ptr<double>() + static_cast<std::int64_t>(n) * dimension, probe, dimension),
                 rows[n]});
          std::sort(voters.begin(), voters.end());
          voters.resize(std::min(classifier.k_, voters.size()));
          vote(voters, names, p, out);
        }
      });
      return out;
    }

    // The person's rank for each probe in `swap.asked`. `features`: the swap's, in double; `names`: the labels, then
    // the added ones.
    std::vector<std::int64_t> ranks(const Swap& swap, const torch::Tensor& features,
                                    const std::vector<std::int64_t>& names) const {
      const auto person = person_of(swap, labels).value();
      const auto dimension = known.size(1);
      std::vector<const double*> rows(names.size());  // each row's numbers; null: removed
      for (std::size_t g = 0; g < labels.size(); ++g)
        rows[g] = known.data_ptr<double>() + static_cast<std::int64_t>(g) * dimension;
      for (const auto row : swap.removed) rows[static_cast<std::size_t>(row)] = nullptr;
      const double* next = features.data_ptr<double>();
      for (const auto row : swap.rows) rows[static_cast<std::size_t>(row)] = std::exchange(next, next + dimension);
      for (auto g = labels.size(); g < rows.size(); ++g) rows[g] = std::exchange(next, next + dimension);
      std::vector<std::int64_t> found(swap.asked.size());
      in_pieces(torch::kCPU, found.size(), 1, [&](std::size_t first, std::size_t count) {
        for (auto i = first; i < first + count; ++i) {
          Voters all;
          const double* probe = sought.data_ptr<double>() + swap.asked[i] * dimension;
          for (std::size_t g = 0; g < rows.size(); ++g)
            if (rows[g]) all.push_back({distance_of(rows[g], probe, dimension), static_cast<std::int64_t>(g)});
          found[i] = rank_of(person, std::move(all), names, classifier.k_);
        }
      });
      return found;
    }
  };

  std::size_t k_;
};

}  // namespace

std::unique_ptr<Classifier> make_k_nearest(Spec& spec) {
  return std::make_unique<KNearest>(static_cast<std::size_t>(spec.integer("k", 1, 1000000, 5)));
}

}  // namespace facepoison
