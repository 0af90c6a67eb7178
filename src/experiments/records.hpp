// The run folder's files of answers.
#pragma once
#include <map>
#include <optional>

#include "facepoison/experiment.hpp"
#include "facepoison/table.hpp"

namespace facepoison {

using Row = std::vector<std::string>;  // coordinates
Row cell_of(const std::string& recogniser, const Scenario& scenario, const std::string& classifier);
// A file's columns and a row of it: the coordinates, then what the file has of them.
std::vector<std::string> columns_of(const World& world, const std::vector<std::string>& more);
std::vector<Cell> joined(const Row& cell, std::vector<Cell> rest);

// rows.csv, trials.csv, others.csv, and thresholds.csv where a combination has a curve.
class Results {
 public:
  Results(const fs::path& folder, const Experiment& experiment, World& world);
  void record(const Row& cell, const Scenario& scenario, const std::vector<Answer>& answers);
  // Two recognisers as one, from the answers of both, by their cells.
  void record_combined(const Pairing& pairing, const std::map<Row, Answers>& answers);
  void finish();

 private:
  void record_curve(const Row& cell, const Combined& combined, std::size_t game, const std::string& person,
                    std::int64_t label);

  const Experiment& experiment_;
  World& world_;
  TableFile rows_, trials_, others_;
  std::optional<TableFile> thresholds_;
};

// detections.csv: what cloak detectors say of posted photos, and of the same photos clean, through the same transform.
void record_detections(const fs::path& folder, const Experiment& experiment, World& world);

// strangers.csv: what strangers look like to each extractor, for the table open-set.
void record_strangers(const fs::path& folder, const Experiment& experiment, World& world);

}  // namespace facepoison
