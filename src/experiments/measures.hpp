// What a run's answers do not hold, for the tables that ask for it: distances between embeddings.
#pragma once
#include <memory>
#include <optional>
#include <set>

#include "facepoison/experiment.hpp"
#include "facepoison/table.hpp"
#include "experiments/records.hpp"

namespace facepoison {

// Writes, for each extractor and scenario (not for classifiers: there is none in it),
// pairs.csv, for "verification": of each protected person the AUC of telling their clean probes' pairs with their own
//   posted photos from the pairs with other people's gallery photos, by cosine, and the share of the former that is
//   accepted where a hundredth and a thousandth of the latter are (all protected people's together);
// displacements.csv, for "displacement": of each posted photo the Euclidean distance to its clean self, and to the
//   nearest clean gallery photo of anybody else.
class Measures {
 public:
  Measures(const fs::path& folder, const Experiment& experiment, World& world);
  void of(const std::shared_ptr<const FeatureExtractor>& extractor, const Scenario& scenario);
  void finish();

 private:
  void compare_pairs(const Row& place, const Sides& sides, const std::vector<Swapped>& swaps);
  void measure_displacement(const Row& place, const Scenario& scenario, const Sides& sides,
                            const std::vector<Swapped>& swaps);

  const Experiment& experiment_;
  World& world_;
  std::optional<TableFile> pairs_, displacement_;
  std::set<std::pair<std::string, const Scenario*>> done_;
};

// The least numbers of so many that only these fit into memory.
class Least {
 public:
  explicit Least(std::size_t count) : count_(count) {}
  void add(const std::vector<double>& numbers);
  double at(std::size_t place);  // from 0 on; infinite beyond the last

 private:
  std::size_t count_;
  std::vector<double> kept_;
};

}  // namespace facepoison
