// Standardised embeddings and multinomial logistic regression with an L2 penalty: what scikit-learn's
// make_pipeline(StandardScaler(), LogisticRegression(C=c)) converges to, which the paper's code stops after 100 iterations. Minimised is
// c·Σ cross-entropy + ½‖W‖², intercepts free, by LibTorch's L-BFGS in double. With two people there is one row of weights, as there.
#include <torch/optim/lbfgs.h>

#include <algorithm>
#include <cmath>

#include "classifiers/registry.hpp"
#include "facepoison/error.hpp"

namespace facepoison {
namespace {

// z = (x − mean)/scale; a dimension that never changes is divided by 1.
struct Scaler {
  torch::Tensor mean, scale;
  explicit Scaler(const torch::Tensor& rows) : mean(rows.mean(0)), scale(rows.std(0, /*unbiased=*/false)) {
    scale = torch::where(scale > 10 * std::numeric_limits<double>::epsilon() * mean.abs(), scale, torch::ones_like(scale));
  }
  torch::Tensor operator()(const torch::Tensor& rows) const { return (rows - mean) / scale; }
};

struct Model {
  Scaler scaler;
  torch::Tensor weights, intercepts;  // K×D, K; in the scaler's space

  torch::Tensor scores(const torch::Tensor& scaled) const {
    const auto found = at::addmm(intercepts, scaled, weights.t());
    return weights.size(0) == 1 ? torch::cat({torch::zeros_like(found), found}, 1) : found;
  }
  // The same scores for the same embeddings, with another scaler.
  Model under(const Scaler& other) const {
    return {other, weights * (other.scale / scaler.scale), intercepts + weights.matmul((other.mean - scaler.mean) / scaler.scale)};
  }
};

class Linear final : public Classifier {
 public:
  explicit Linear(double c) : c_(c) {}

  Prediction predict(const torch::Tensor& gallery, const std::vector<std::int64_t>& labels, const torch::Tensor& probes) const override {
    check(gallery, labels, probes);
    const Classes classes(labels);
    if (classes.names.size() == 1) return only_one(classes, probes);
    const auto rows = gallery.to(torch::kFloat64);
    return answer(fit(rows, classes, start(rows, classes)), classes, probes);
  }

  std::vector<Prediction> predict_swapped(const torch::Tensor& gallery, const std::vector<std::int64_t>& labels, std::span<const Swap> swaps,
                                          const torch::Tensor& probes) const override {
    check(gallery, labels, probes);
    const Classes classes(labels);
    for (const auto& swap : swaps) check(swap.features, std::vector<std::int64_t>(swap.rows.size()), probes);
    if (classes.names.size() == 1) return std::vector<Prediction>(swaps.size(), only_one(classes, probes));
    const auto rows = gallery.to(torch::kFloat64);
    const Model clean = fit(rows, classes, start(rows, classes));
    std::vector<Prediction> out;
    for (const auto& swap : swaps) {
      const auto swapped = rows.index_copy(0, torch::tensor(swap.rows), swap.features.to(torch::kFloat64));
      out.push_back(answer(fit(swapped, classes, clean.under(Scaler(swapped))), classes, probes));
    }
    return out;
  }

 private:
  struct Classes {
    std::vector<std::int64_t> names;  // rising
    torch::Tensor places;             // of each gallery row
    explicit Classes(const std::vector<std::int64_t>& labels) : names(labels) {
      std::sort(names.begin(), names.end());
      names.erase(std::unique(names.begin(), names.end()), names.end());
      std::vector<std::int64_t> found;
      for (const auto label : labels) found.push_back(std::lower_bound(names.begin(), names.end(), label) - names.begin());
      places = torch::tensor(found);
    }
    std::int64_t rows() const { return names.size() == 2 ? 1 : static_cast<std::int64_t>(names.size()); }
  };

  static Model start(const torch::Tensor& rows, const Classes& classes) {
    return {Scaler(rows), torch::zeros({classes.rows(), rows.size(1)}, torch::kFloat64), torch::zeros({classes.rows()}, torch::kFloat64)};
  }

  Model fit(const torch::Tensor& rows, const Classes& classes, Model model) const {
    const auto scaled = model.scaler(rows);
    const auto n = rows.size(0);
    auto right = torch::zeros({n, static_cast<std::int64_t>(classes.names.size())}, torch::kFloat64).scatter_(1, classes.places.unsqueeze(1), 1);
    auto& w = model.weights;
    auto& b = model.intercepts;
    // The objective is divided by c·n, so that one tolerance suits every gallery.
    const double decay = 1 / (c_ * static_cast<double>(n));
    const auto closure = [&] {
      const auto scores = model.scores(scaled);
      const auto likely = scores.log_softmax(1);
      auto slope = (likely.exp() - right) / static_cast<double>(n);  // by the scores
      if (w.size(0) == 1) slope = slope.narrow(1, 1, 1);
      w.mutable_grad() = at::addmm(w, slope.t(), scaled, decay, 1);
      b.mutable_grad() = slope.sum(0);
      return -(likely * right).sum() / static_cast<double>(n) + 0.5 * decay * w.square().sum();
    };
    const torch::NoGradGuard no_grad;
    torch::optim::LBFGS solver({w, b}, torch::optim::LBFGSOptions(1).max_iter(2000).max_eval(4000).history_size(20).tolerance_grad(1e-8).tolerance_change(1e-14).line_search_fn("strong_wolfe"));
    solver.step(closure);
    return model;
  }

  // There is nothing to tell apart.
  static Prediction only_one(const Classes& classes, const torch::Tensor& probes) {
    const auto n = static_cast<std::size_t>(probes.size(0));
    return {std::vector<std::int64_t>(n, classes.names.front()), std::vector<double>(n, 0)};
  }

  static Prediction answer(const Model& model, const Classes& classes, const torch::Tensor& probes) {
    const auto [likely, places] = model.scores(model.scaler(probes.to(torch::kFloat64))).softmax(1).max(1);
    Prediction out;
    for (std::int64_t i = 0; i < probes.size(0); ++i) {
      out.labels.push_back(classes.names[static_cast<std::size_t>(places[i].item<std::int64_t>())]);
      out.distances.push_back(1 - likely[i].item<double>());
    }
    return out;
  }

  double c_;
};

}  // namespace

std::unique_ptr<Classifier> make_linear(Spec& spec) { return std::make_unique<Linear>(spec.number("c", 1e-6, 1e6, 1)); }

}  // namespace facepoison
