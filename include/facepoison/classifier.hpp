// How the trainer names a new photo. A new classifier is one .cpp and one row in registry.cpp.
#pragma once
#include <torch/script.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "facepoison/error.hpp"
#include "facepoison/spec.hpp"

namespace facepoison {

// The answer for each of N probes.
struct Prediction {
  std::vector<std::int64_t> labels;
  std::vector<double> distances;         // to what decided the label; smaller is more certain
  std::vector<std::int64_t> ranks = {};  // for each of Swap::asked: the person's place, 1 the first guess; 0: not there
};

// Gallery rows, and what stands there instead; then rows that the gallery has besides, which come last; then those that
// are not there. All of one person, where places are asked for.
struct Swap {
  std::vector<std::int64_t> rows;          // rising; the new ones keep their labels
  torch::Tensor features;                  // (|rows| + |added|)×D
  std::vector<std::int64_t> added = {};    // labels, of people whom the gallery has or has not
  std::vector<std::int64_t> removed = {};  // rising, none of `rows`; somebody is left
  std::vector<std::int64_t> asked = {};    // probes of which the person's place among all people is wanted; rising
};

// A classifier that knows a clean gallery and the probes: what every swap needs is done once.
class Trained {
 public:
  virtual ~Trained() = default;
  // For each swap of the clean gallery what Classifier::predict() would say, in the swaps' order, with the places.
  virtual std::vector<Prediction> predict_swapped(std::span<const Swap> swaps) const = 0;
};

class Classifier {
 public:
  virtual ~Classifier() = default;

  // What it computes, for cache keys: its name, every parameter, defaults included, and its version.
  const Json& identity() const { return identity_; }
  void set_identity(Json identity) { identity_ = std::move(identity); }  // for make_classifier()

  // gallery G×D (CPU), labels G (0 … P−1, whatever order), probes N×D; both float32, or both float64. Ties go to the
  // lowest gallery row. Throws Error(input) for an empty gallery or dimensions that differ, and NoDirection.
  virtual Prediction predict(const torch::Tensor& gallery, const std::vector<std::int64_t>& labels,
                             const torch::Tensor& probes) const = 0;

  // The classifier must outlive what it trained. Throws as predict().
  virtual std::unique_ptr<Trained> train(const torch::Tensor& gallery, const std::vector<std::int64_t>& labels,
                                         const torch::Tensor& probes) const = 0;

  std::vector<Prediction> predict_swapped(const torch::Tensor& gallery, const std::vector<std::int64_t>& labels,
                                          std::span<const Swap> swaps, const torch::Tensor& probes) const {
    return train(gallery, labels, probes)->predict_swapped(swaps);
  }

 private:
  Json identity_;
};

// An embedding is all zeros, so that it has no direction to compare. Whoever knows the photos says which one it is.
struct NoDirection : Error {
  NoDirection() : Error(Exit::input, "an embedding of zeros has no direction to compare") {}
};

// A classifier's name, or a JSON object {"classifier": …, "name": …, its own keys}, as an object or as a text of it.
// Throws Error(usage).
std::unique_ptr<Classifier> make_classifier(const Json& wanted);
// What tables call it: its "name", else what was asked for beside the defaults ("k-nearest, k 3").
std::string classifier_name(const Json& wanted);

struct ClassifierRow {
  std::string name;
  int version;  // of what it computes, a part of cache keys: to be raised when an answer changes, which a test sees
  std::string help;
  std::unique_ptr<Classifier> (*make)(Spec&);
};
const std::vector<ClassifierRow>& classifier_registry();

}  // namespace facepoison
