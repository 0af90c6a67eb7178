// The k nearest gallery photos vote, Euclidean on raw embeddings. Most votes win; among equals the person whose photo
// is nearest, where scikit-learn takes the lowest label. The distance is that of the winner's nearest photo.
#include <algorithm>
#include <cmath>
#include <map>

#include "classifiers/registry.hpp"

namespace facepoison {
namespace {

struct Voter {
  double distance;
  std::int64_t row;
  bool operator<(const Voter& other) const {
    return distance < other.distance || (distance == other.distance && row < other.row);
  }
};

class KNearest final : public Classifier {
 public:
  explicit KNearest(std::size_t k) : k_(k) {}

  Prediction predict(const torch::Tensor& gallery, const std::vector<std::int64_t>& labels,
                     const torch::Tensor& probes) const override {
    check(gallery, labels, probes);
    const auto known = gallery.to(torch::kFloat64), sought = probes.to(torch::kFloat64);
    const auto squares = known.square().sum(1);
    Prediction out;
    constexpr std::int64_t block = 256;
    for (std::int64_t start = 0; start < sought.size(0); start += block) {
      const auto some = sought.narrow(0, start, std::min(block, sought.size(0) - start));
      const auto rough =
          at::addmm(squares.unsqueeze(0), some, known.t(), 1, -2).contiguous();  // + ‖probe‖², the same for all rows
      for (std::int64_t i = 0; i < some.size(0); ++i) vote(out, nearest(rough[i], known, some[i]), labels);
    }
    return out;
  }

 private:
  // The product of matrices finds the candidates; equal rows may differ in its last bits, so candidates are measured
  // anew.
  std::vector<Voter> nearest(const torch::Tensor& rough, const torch::Tensor& known, const torch::Tensor& probe) const {
    const double* distances = rough.data_ptr<double>();
    std::vector<double> sorted(distances, distances + rough.numel());
    const auto k = std::min(k_, sorted.size());
    std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(k - 1), sorted.end());
    const double limit = sorted[k - 1] + 1e-9 * (std::abs(sorted[k - 1]) + probe.square().sum().item<double>());
    std::vector<Voter> found;
    const double *rows = known.data_ptr<double>(), *point = probe.data_ptr<double>();
    for (std::int64_t g = 0; g < rough.numel(); ++g) {
      if (distances[g] > limit) continue;
      double sum = 0;
      for (std::int64_t d = 0; d < known.size(1); ++d)
        sum += (rows[g * known.size(1) + d] - point[d]) * (rows[g * known.size(1) + d] - point[d]);
      found.push_back({std::sqrt(sum), g});
    }
    std::sort(found.begin(), found.end());
    found.resize(k);
    return found;
  }

  static void vote(Prediction& out, const std::vector<Voter>& voters, const std::vector<std::int64_t>& labels) {
    std::map<std::int64_t, std::size_t> votes;
    for (const auto& voter : voters) ++votes[labels[static_cast<std::size_t>(voter.row)]];
    const Voter* winner = nullptr;
    std::size_t most = 0;
    for (const auto& voter : voters) {  // nearest first, so that the nearest of equals stays
      const auto count = votes[labels[static_cast<std::size_t>(voter.row)]];
      if (count > most) winner = &voter, most = count;
    }
    out.labels.push_back(labels[static_cast<std::size_t>(winner->row)]);
    out.distances.push_back(winner->distance);
  }

  std::size_t k_;
};

}  // namespace

std::unique_ptr<Classifier> make_k_nearest(Spec& spec) {
  return std::make_unique<KNearest>(static_cast<std::size_t>(spec.integer("k", 1, 1000000, 5)));
}

}  // namespace facepoison
