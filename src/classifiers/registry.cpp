#include "classifiers/registry.hpp"

#include "facepoison/error.hpp"
#include "facepoison/spec.hpp"

namespace facepoison {

const std::vector<ClassifierRow>& classifier_registry() {
  static const std::vector<ClassifierRow> rows = {
      {"nearest", "1-NN, Euclidean on raw embeddings (the paper's)", make_nearest},
      {"nearest-cosine", "1-NN, cosine; distance = 1 − cos", make_nearest_cosine},
      {"centroid", "nearest class mean, Euclidean", make_centroid},
  };
  return rows;
}

std::unique_ptr<Classifier> make_classifier(const std::string& name) {
  std::vector<std::string> known;
  for (const auto& row : classifier_registry()) {
    if (row.name == name) return row.make();
    known.push_back(row.name);
  }
  const auto near = nearest_name(name, known);
  throw Error(Exit::usage, concat("no classifier \"", name, "\"; ", near.empty() ? "facepoison list classifiers shows them" : "did you mean " + near + "?"));
}

std::vector<Prediction> Classifier::predict_swapped(const torch::Tensor& gallery, const std::vector<std::int64_t>& labels, std::span<const Swap> swaps,
                                                    const torch::Tensor& probes) const {
  std::vector<Prediction> out;
  for (const auto& swap : swaps) out.push_back(predict(gallery.index_copy(0, torch::tensor(swap.rows), swap.features), labels, probes));
  return out;
}

void check(const torch::Tensor& gallery, const std::vector<std::int64_t>& labels, const torch::Tensor& probes) {
  if (gallery.dim() != 2 || gallery.size(0) == 0) throw Error(Exit::input, "the gallery has no photos");
  if (static_cast<std::size_t>(gallery.size(0)) != labels.size()) throw Error(Exit::input, concat("the gallery has ", gallery.size(0), " rows and ", labels.size(), " labels"));
  if (probes.dim() != 2 || probes.size(1) != gallery.size(1))
    throw Error(Exit::input, concat("embeddings of ", gallery.size(1), " dimensions in the gallery, probes of shape ", probes.sizes()));
  if (!gallery.isfinite().all().item<bool>() || !probes.isfinite().all().item<bool>()) throw Error(Exit::input, "a non-finite embedding");
}

}  // namespace facepoison
