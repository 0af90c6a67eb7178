// Distances between embeddings, for the tables that need more than a run's answers.
#pragma once
#include <memory>
#include <optional>
#include <set>

#include "facepoison/experiment.hpp"
#include "facepoison/table.hpp"
#include "experiments/impersonation.hpp"
#include "experiments/linkage.hpp"
#include "experiments/records.hpp"

namespace facepoison {

// Writes, for each extractor and scenario (classifiers are not involved):
// - pairs.csv, for "verification" and "det", with a row for each protected person. A genuine pair is a clean probe and
//   a posted photo of the person, an impostor pair a clean probe and another person's gallery photo; distances are by
//   cosine. The row has the AUC of genuine against impostor pairs, and the share of genuine pairs accepted at each
//   false accept rate (over the impostor pairs of all protected people together). Empty if there are no impostor pairs.
// - displacements.csv, for "displacement": the Euclidean distance of each posted photo to its clean version, and to
//   the nearest clean gallery photo of another person, empty if there is none.
// - links.csv, for "linkage", and impersonations.csv, for "impersonation", with a row for each protected person who
//   posted something; not for scenarios with a filter, which changes nothing there.
class Measures {
 public:
  Measures(const fs::path& folder, const Experiment& experiment, Study& study, Executor& executor);
  void of(const std::shared_ptr<const FeatureExtractor>& extractor, const Scenario& scenario);
  void finish();

 private:
  void measure_displacement(const Row& place, const std::shared_ptr<const FeatureExtractor>& extractor,
                            const Scenario& scenario, const Question& question);
  void measure_albums(const Row& place, const std::shared_ptr<const FeatureExtractor>& extractor,
                      const Scenario& scenario, const GalleryAndProbes& sides);
  void add_links(const Row& place, const LinksOf& person);
  void add_impersonation(const Row& place, const ImpersonationOf& person);

  const Experiment& experiment_;
  Study& study_;
  Executor& executor_;
  std::optional<TableFile> pairs_, displacement_, links_, impersonations_;
  std::optional<PeopleToPass> to_pass_;  // of the gallery with this name
  std::string to_pass_name_;
  std::set<std::pair<std::string, const Scenario*>> done_;  // pointers into the study's scenarios
};

// The numbers of a float64 tensor.
std::vector<double> numbers(const torch::Tensor& values);
// The rows of this person, or all other rows.
torch::Tensor rows_where(const std::vector<std::int64_t>& labels, std::int64_t label, bool own);

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
  // `features`: K×D; `labels`: the person of each row.
  CleanGallery(const torch::Tensor& features, std::vector<std::int64_t> labels);
  struct Moved {
    double by = 0, nearest_other = 0;  // nearest_other: NaN if there is nobody else
  };
  // `posted`: a person's posted photos, N×D; `rows`: the rows of their clean versions.
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
