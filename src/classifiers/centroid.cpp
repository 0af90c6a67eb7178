// Nearest class mean: averages each person's gallery rows (in double) and takes the nearest mean (Euclidean).
#include <algorithm>
#include <set>

#include "classifiers/registry.hpp"

namespace facepoison {
namespace {

torch::Tensor mean_of(const torch::Tensor& rows) { return rows.to(torch::kFloat64).mean(0).to(rows.scalar_type()); }

class Centroid final : public Classifier {
 public:
  Prediction predict(const torch::Tensor& gallery, const std::vector<std::int64_t>& labels,
                     const torch::Tensor& probes) const override {
    const auto [means, names] = centroids(gallery, labels, probes);
    return nearest_->predict(means, names, probes);
  }

  std::unique_ptr<Trained> train(const torch::Tensor& gallery, const std::vector<std::int64_t>& labels,
                                 const torch::Tensor& probes) const override {
    const auto [means, names] = centroids(gallery, labels, probes);
    return std::make_unique<Means>(gallery, labels, nearest_->train(means, names, probes));
  }

 private:
  struct Means final : Trained {
    torch::Tensor gallery;
    std::vector<std::int64_t> labels;
    RowsOf rows;
    std::unique_ptr<Trained> nearest;

    Means(torch::Tensor clean, std::vector<std::int64_t> names, std::unique_ptr<Trained> by)
        : gallery(std::move(clean)), labels(std::move(names)), rows(rows_by_label(labels)), nearest(std::move(by)) {}

    std::vector<Prediction> predict_swapped(std::span<const Swap> swaps) const override {
      std::vector<Swap> moved;
      for (const auto& swap : swaps) moved.push_back(of_means(swap));
      return nearest->predict_swapped(moved);
    }

    // Turns a swap of rows into a swap of the means of the people that it touches; new people are added.
    Swap of_means(const Swap& swap) const {
      std::set<std::int64_t> touched;
      for (const auto* some : {&swap.rows, &swap.removed})
        for (const auto row : *some) touched.insert(labels.at(static_cast<std::size_t>(row)));
      touched.insert(swap.added.begin(), swap.added.end());
      Swap means;
      means.asked = swap.asked;
      std::vector<torch::Tensor> new_means, added_means;
      for (const auto label : touched) {
        const auto known = rows.find(label);
        std::vector<std::int64_t> own;
        if (known != rows.end())
          std::set_difference(known->second.begin(), known->second.end(), swap.removed.begin(), swap.removed.end(),
                              std::back_inserter(own));
        auto features = gallery.index_select(0, torch::tensor(own, torch::kInt64));
        for (std::size_t i = 0; i < own.size(); ++i) {
          const auto found = std::lower_bound(swap.rows.begin(), swap.rows.end(), own[i]);
          if (found != swap.rows.end() && *found == own[i])
            features[static_cast<std::int64_t>(i)] = swap.features[found - swap.rows.begin()];
        }
        std::vector<std::int64_t> further;
        for (std::size_t n = 0; n < swap.added.size(); ++n)
          if (swap.added[n] == label) further.push_back(static_cast<std::int64_t>(swap.rows.size() + n));
        if (!further.empty()) features = torch::cat({features, swap.features.index_select(0, torch::tensor(further))});
        if (known == rows.end()) {
          means.added.push_back(label);
          added_means.push_back(mean_of(features));
          continue;
        }
        (features.size(0) > 0 ? means.rows : means.removed).push_back(std::distance(rows.begin(), known));
        if (features.size(0) > 0) new_means.push_back(mean_of(features));
      }
      new_means.insert(new_means.end(), added_means.begin(), added_means.end());
      means.features = new_means.empty() ? gallery.narrow(0, 0, 0) : torch::stack(new_means);
      return means;
    }
  };

  std::pair<torch::Tensor, std::vector<std::int64_t>> centroids(const torch::Tensor& gallery,
                                                                const std::vector<std::int64_t>& labels,
                                                                const torch::Tensor& probes) const {
    check(gallery, labels, probes);
    std::vector<torch::Tensor> means;
    std::vector<std::int64_t> names;
    for (const auto& [label, rows] : rows_by_label(labels)) {
      means.push_back(mean_of(gallery.index_select(0, torch::tensor(rows))));
      names.push_back(label);
    }
    return {torch::stack(means), names};
  }

  std::unique_ptr<Classifier> nearest_ = make_classifier("nearest");
};

}  // namespace

std::unique_ptr<Classifier> make_centroid(Spec&) { return std::make_unique<Centroid>(); }

}  // namespace facepoison
