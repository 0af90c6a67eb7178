// Distances between embeddings, for the tables that need more than a run's answers.
#pragma once
#include <memory>
#include <optional>
#include <set>

#include "facepoison/experiment.hpp"
#include "facepoison/table.hpp"
#include "experiments/records.hpp"

namespace facepoison {

// Writes, for each extractor and scenario (not for classifiers: there is none in it),
// pairs.csv, for "verification" and "det": of each protected person the AUC of telling their clean probes' pairs with
//   their own posted photos from the pairs with other people's gallery photos, by cosine, and the share of the former
//   that is accepted at each of the false accept rates (of all protected people's impostors together); empty where
//   there are no such photos of others;
// displacements.csv, for "displacement": of each posted photo the Euclidean distance to its clean self, and to the
//   nearest clean gallery photo of anybody else, empty where nobody else has one.
class Measures {
 public:
  Measures(const fs::path& folder, const Experiment& experiment, Study& study, Executor& executor);
  void of(const std::shared_ptr<const FeatureExtractor>& extractor, const Scenario& scenario);
  void finish();

 private:
  void measure_displacement(const Row& place, const std::shared_ptr<const FeatureExtractor>& extractor,
                            const Scenario& scenario, const Question& question);

  const Experiment& experiment_;
  Study& study_;
  Executor& executor_;
  std::optional<TableFile> pairs_, displacement_;
  std::set<std::pair<std::string, const Scenario*>> done_;  // of the study's scenarios, which stay where they are
};

// A person's row of pairs.csv. NaN: not known.
struct PairsOf {
  std::string person;
  std::vector<double> genuine;  // distances, 1 − cosine
  std::int64_t impostors = 0;   // how many
  double area = 0;
  std::vector<double> accepted;  // by false accept rate
};
// Compares the pairs of each trial in which something was posted. Throws NoDirection.
std::vector<PairsOf> compare_pairs(const GalleryAndProbes& sides, const std::vector<TrialSwap>& trials);

// Everybody's clean gallery, for distances to it.
class CleanGallery {
 public:
  // K×D and whose the rows are.
  CleanGallery(const torch::Tensor& features, std::vector<std::int64_t> labels);
  struct Moved {
    double by = 0, nearest_other = 0;  // the latter NaN where there is nobody else
  };
  // A person's posted photos N×D, the clean ones of which are these rows.
  std::vector<Moved> displacements(const torch::Tensor& posted, const std::vector<std::int64_t>& rows,
                                   std::int64_t person) const;

 private:
  torch::Tensor features_, squares_;  // float64
  std::vector<std::int64_t> labels_;
};

// The smallest `count` of more numbers than fit into memory.
class BottomK {
 public:
  explicit BottomK(std::size_t count) : count_(count) {}
  void add(const std::vector<double>& numbers);
  double at(std::size_t place);  // from 0 on; infinite beyond the last

 private:
  std::size_t count_;
  std::vector<double> kept_;
};

}  // namespace facepoison
