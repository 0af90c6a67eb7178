// Multinomial logistic regression with an L2 penalty on standardised embeddings: the limit of scikit-learn's
// make_pipeline(StandardScaler(), LogisticRegression(C=c)), which the paper's code stops after 100 iterations. It
// minimises c·Σ cross-entropy + ½‖W‖², with free intercepts. Two people have one row of weights, as in scikit-learn.
#include <algorithm>
#include <cmath>
#include <optional>

#include "classifiers/logistic.hpp"
#include "classifiers/registry.hpp"
#include "facepoison/device.hpp"
#include "facepoison/error.hpp"

namespace facepoison {
namespace {

constexpr double kTolerance = 2e-7, kRoughly = 1e-6;  // of the derivatives

// z = (x − mean)/scale; a constant dimension is divided by 1.
struct Scaler {
  torch::Tensor mean, scale;
  explicit Scaler(const torch::Tensor& rows) : mean(rows.mean(0)), scale(rows.std(0, /*unbiased=*/false)) {
    scale =
        torch::where(scale > 10 * std::numeric_limits<double>::epsilon() * mean.abs(), scale, torch::ones_like(scale));
  }
  torch::Tensor operator()(const torch::Tensor& rows) const { return (rows - mean) / scale; }
};

struct Model {
  Scaler scaler;
  torch::Tensor weights;  // K×(D+1) in the scaler's space, the last column the intercepts

  torch::Tensor scores(const torch::Tensor& rows) const {
    const auto found = at::addmm(weights.select(1, -1), scaler(rows), weights.slice(1, 0, -1).t());
    return weights.size(0) == 1 ? torch::cat({torch::zeros_like(found), found}, 1) : found;
  }
  // Changes the scaler but not the scores of embeddings.
  Model under(const Scaler& other) const {
    const auto w = weights.slice(1, 0, -1);
    const auto intercepts = weights.select(1, -1) + w.matmul((other.mean - scaler.mean) / scaler.scale);
    return {other, torch::cat({w * (other.scale / scaler.scale), intercepts.unsqueeze(1)}, 1)};
  }
};

class Linear final : public Classifier {
 public:
  explicit Linear(double c) : c_(c) {}

  Prediction predict(const torch::Tensor& gallery, const std::vector<std::int64_t>& labels,
                     const torch::Tensor& probes) const override {
    check(gallery, labels, probes);
    const Classes classes(labels);
    if (classes.names.size() == 1) return only_one(classes, probes, {});
    const auto rows = gallery.to(torch::kFloat64);
    return answer(fit(rows, classes, start(rows, classes)), classes, probes, {});
  }

  std::unique_ptr<Trained> train(const torch::Tensor& gallery, const std::vector<std::int64_t>& labels,
                                 const torch::Tensor& probes) const override {
    check(gallery, labels, probes);
    return std::make_unique<Clean>(*this, gallery.to(torch::kFloat64), labels, probes);
  }

 private:
  struct Classes {
    std::vector<std::int64_t> names;  // ascending
    torch::Tensor indices;            // of each gallery row
    explicit Classes(const std::vector<std::int64_t>& labels) : names(labels) {
      std::sort(names.begin(), names.end());
      names.erase(std::unique(names.begin(), names.end()), names.end());
      std::vector<std::int64_t> found;
      for (const auto label : labels) found.push_back(index(label));
      indices = torch::tensor(found);
    }
    std::int64_t rows() const { return names.size() == 2 ? 1 : static_cast<std::int64_t>(names.size()); }
    std::int64_t index(std::int64_t name) const {  // or −1
      const auto found = std::lower_bound(names.begin(), names.end(), name);
      return found != names.end() && *found == name ? found - names.begin() : -1;
    }
  };

  struct Clean final : Trained {
    const Linear& classifier;
    torch::Tensor rows, probes;
    std::vector<std::int64_t> labels;
    Classes classes;
    std::optional<Model> model;  // none for a gallery of one person

    Clean(const Linear& by, torch::Tensor gallery, const std::vector<std::int64_t>& names, torch::Tensor sought)
        : classifier(by), rows(std::move(gallery)), probes(std::move(sought)), labels(names), classes(names) {
      if (classes.names.size() > 1) model = by.fit(rows, classes, start(rows, classes));
    }

    std::vector<Prediction> predict_swapped(std::span<const Swap> swaps) const override {
      std::vector<Prediction> out;
      for (const auto& swap : swaps) {
        check_swap(swap, probes);
        out.push_back(classifier.answer_swapped(*this, swap));
      }
      return out;
    }
  };

  Prediction answer_swapped(const Clean& clean, const Swap& swap) const {
    if (clean.model && swap.features.size(0) == 0 && swap.removed.empty())
      return answer(*clean.model, clean.classes, clean.probes, {});
    const auto [rows, labels] = swapped(clean.rows, clean.labels, swap);
    const Classes classes(labels);
    const auto person = person_of(swap, clean.labels);
    const Asked asked{swap.asked, person ? classes.index(*person) : -1};
    if (classes.names.size() == 1) return only_one(classes, clean.probes, asked);
    return answer(fit(rows, classes, start_from(clean, rows, classes, asked.index)), classes, clean.probes, asked);
  }

  // A start from the clean model, without the weights of removed people and with weights of 0 for new ones. A model of
  // two people has one row of weights for both, so it and a larger one cannot start each other.
  Model start_from(const Clean& clean, const torch::Tensor& rows, const Classes& classes, std::int64_t person) const {
    if (!clean.model || (classes.rows() == 1) != (clean.classes.rows() == 1)) return start(rows, classes);
    auto model = clean.model->under(Scaler(rows));
    if (classes.rows() == 1) return model;
    std::vector<std::int64_t> indices;
    for (const auto name : classes.names) {
      const auto index = clean.classes.index(name);
      indices.push_back(index < 0 ? clean.classes.rows() : index);
    }
    model.weights = torch::cat({model.weights, torch::zeros_like(model.weights.slice(0, 0, 1))})
                        .index_select(0, torch::tensor(indices));
    if (person >= 0) refit_one(rows, classes, model, person);
    return model;
  }

  static Model start(const torch::Tensor& rows, const Classes& classes) {
    return {Scaler(rows), torch::zeros({classes.rows(), rows.size(1) + 1}, torch::kFloat64)};
  }

  static torch::Tensor with_ones(const torch::Tensor& rows) {
    return torch::cat({rows, torch::ones({rows.size(0), 1}, rows.options())}, 1);
  }

  // The penalty's weight beside the mean (not the sum) of the cross-entropy, so that one tolerance suits every gallery.
  double decay(const torch::Tensor& rows) const { return 1 / (c_ * static_cast<double>(rows.size(0))); }

  Model fit(const torch::Tensor& rows, const Classes& classes, Model model) const {
    const auto fixed = torch::zeros({rows.size(0), classes.rows() == 1 ? 1 : 0}, torch::kFloat64);
    model.weights =
        minimise({with_ones(model.scaler(rows)), classes.indices, fixed, decay(rows)}, model.weights, kTolerance);
    return model;
  }

  // Fits the weights of one class while the others stay: a start for a swapped person that saves most steps.
  void refit_one(const torch::Tensor& rows, const Classes& classes, Model& model, std::int64_t index) const {
    const auto others = torch::empty({rows.size(0), 1}, torch::kFloat64);
    in_pieces(torch::kCPU, static_cast<std::size_t>(rows.size(0)), 512, [&](std::size_t first, std::size_t count) {
      const auto start = static_cast<std::int64_t>(first), some = static_cast<std::int64_t>(count);
      const auto scores = model.scores(rows.narrow(0, start, some));
      scores.select(1, index).fill_(-std::numeric_limits<double>::infinity());
      others.narrow(0, start, some).copy_(scores.logsumexp(1, true));
    });
    const LogisticProblem problem{with_ones(model.scaler(rows)), classes.indices.eq(index).to(torch::kInt64), others,
                                  decay(rows)};
    model.weights[index] = minimise(problem, torch::zeros_like(model.weights.slice(0, 0, 1)), kRoughly)[0];
  }

  // The probes for which a person's rank is wanted, and the person's index among the classes, or −1.
  struct Asked {
    std::vector<std::int64_t> probes;
    std::int64_t index = -1;
  };

  // The answer for a gallery of one person.
  static Prediction only_one(const Classes& classes, const torch::Tensor& probes, const Asked& asked) {
    const auto n = static_cast<std::size_t>(probes.size(0));
    return {std::vector<std::int64_t>(n, classes.names.front()), std::vector<double>(n, 0),
            std::vector<std::int64_t>(asked.probes.size(), asked.index + 1)};
  }

  static Prediction answer(const Model& model, const Classes& classes, const torch::Tensor& probes,
                           const Asked& asked) {
    const auto scores = model.scores(probes.to(torch::kFloat64));
    const auto [probabilities, indices] = scores.softmax(1).max(1);
    Prediction out;
    for (const auto probe : asked.probes) {
      const auto of_probe = scores[probe];  // a tie goes to the lowest class, as in max()
      out.ranks.push_back(
          asked.index < 0
              ? 0
              : 1 + (of_probe > of_probe[asked.index]).sum().item<std::int64_t>() +
                    (of_probe.narrow(0, 0, asked.index) == of_probe[asked.index]).sum().item<std::int64_t>());
    }
    for (std::int64_t i = 0; i < probes.size(0); ++i) {
      out.labels.push_back(classes.names[static_cast<std::size_t>(indices[i].item<std::int64_t>())]);
      out.distances.push_back(1 - probabilities[i].item<double>());
    }
    return out;
  }

  double c_;
};

}  // namespace

std::unique_ptr<Classifier> make_linear(Spec& spec) { return std::make_unique<Linear>(spec.number("c", 1e-6, 1e6, 1)); }

}  // namespace facepoison
