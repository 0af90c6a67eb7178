// Classifiers: a gallery's embeddings and labels in, the people on probes out. A label is a person's number. A new
// classifier is one .cpp and one row in registry.cpp. A classifier does not change: threads may share it.
#pragma once
#include <torch/script.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "facepoison/error.hpp"
#include "facepoison/spec.hpp"

namespace facepoison {

// A classifier's answer for N probes.
struct Prediction {
  std::vector<std::int64_t> labels;      // N, of the gallery
  std::vector<double> distances;         // N, to what decided the label; a smaller one is more certain
  std::vector<std::int64_t> ranks = {};  // for each of Swap::asked the person's rank, 1 the first guess; 0: not there
};

// A change of a gallery: rows that are replaced, rows that are added after the others, and rows that are removed. All
// are of one person, if ranks are asked for.
struct Swap {
  std::vector<std::int64_t> rows;          // gallery rows, ascending: replaced; they keep their labels
  torch::Tensor features;                  // (|rows| + |added|)×D: the new embeddings, then the added ones
  std::vector<std::int64_t> added = {};    // labels; the people need not be in the gallery
  std::vector<std::int64_t> removed = {};  // gallery rows, ascending, not in `rows`; not all
  std::vector<std::int64_t> asked = {};    // probes, ascending: the person's rank among all people is wanted
};

// A classifier that knows a clean gallery and the probes: work that all swaps share is done once.
class Trained {
 public:
  virtual ~Trained() = default;
  // Returns what Classifier::predict() would return for each swap of the clean gallery, in order, with the ranks.
  // Throws as Classifier::predict(), and Error(input) for features that do not fit.
  virtual std::vector<Prediction> predict_swapped(std::span<const Swap> swaps) const = 0;
};

// Names probes from a gallery.
class Classifier {
 public:
  virtual ~Classifier() = default;

  // What it computes, for cache keys: its name, every parameter, defaults included, and its version.
  const Json& identity() const { return identity_; }
  void set_identity(Json identity) { identity_ = std::move(identity); }  // for make_classifier()

  // Names the probes N×D from the gallery G×D. Its rows have these G labels (0 … P−1, in any order). Both are on the
  // CPU, and both float32 or both float64. Ties go to the lowest gallery row. Throws Error(input) for an empty gallery,
  // dimensions that differ or a number that is not finite, and NoDirection.
  virtual Prediction predict(const torch::Tensor& gallery, const std::vector<std::int64_t>& labels,
                             const torch::Tensor& probes) const = 0;

  // Prepares for many swaps of a gallery; see predict() for shapes. The classifier must outlive what it trained. Throws
  // as predict().
  virtual std::unique_ptr<Trained> train(const torch::Tensor& gallery, const std::vector<std::int64_t>& labels,
                                         const torch::Tensor& probes) const = 0;

  std::vector<Prediction> predict_swapped(const torch::Tensor& gallery, const std::vector<std::int64_t>& labels,
                                          std::span<const Swap> swaps, const torch::Tensor& probes) const {
    return train(gallery, labels, probes)->predict_swapped(swaps);
  }

 private:
  Json identity_;
};

// The error of an embedding that is all zeros, so that it has no direction to compare. A caller that knows the photos
// names the photo.
struct NoDirection : Error {
  NoDirection() : Error(Exit::input, "an embedding of zeros has no direction to compare") {}
};

bool all_finite(const torch::Tensor& numbers);  // in one pass, and without memory of its own

// Makes a classifier from its name, or from a JSON object {"classifier": …, "name": …, its own keys} or the text of
// one. Throws Error(usage).
std::unique_ptr<Classifier> make_classifier(const Json& wanted);

// A classifier of a config, made once, when the config is read.
struct ClassifierChoice {
  std::string name;  // in tables: its "name", else its kind and what differs from the defaults ("k-nearest, k 3")
  Json wanted;       // as in the config
  Json identity;     // Classifier::identity(); if trained end to end, Recogniser::settings()
  std::shared_ptr<const Classifier> classifier;  // none if it is trained end to end, by a recogniser
};
// `wanted`: see make_classifier(), which throws; or {"classifier": "end-to-end", …} or that name: these are not checked
// here, and the identity is null.
ClassifierChoice choose_classifier(const Json& wanted);

// A kind of classifier.
struct ClassifierRow {
  std::string name;
  int version;  // part of cache keys: raise it when an answer changes, which a test detects
  std::string help;
  std::unique_ptr<Classifier> (*make)(Spec&);
};
const std::vector<ClassifierRow>& classifier_registry();

}  // namespace facepoison
