// Writes the files of a run folder that hold answers.
#pragma once
#include <map>
#include <optional>

#include "facepoison/experiment.hpp"
#include "facepoison/table.hpp"

namespace facepoison {

// The coordinates of a table row: recogniser, the axes' values, classifier.
using Row = std::vector<std::string>;
Row coordinates_of(const std::string& recogniser, const Scenario& scenario, const std::string& classifier);
// A file's columns, and one of its rows: the coordinates, then the file's own.
std::vector<std::string> columns_of(const Study& study, const std::vector<std::string>& more);
std::vector<Cell> joined(const Row& coordinates, std::vector<Cell> rest);

// Writes rows.csv, trials.csv, others.csv, and thresholds.csv where a combination has a curve.
class Results {
 public:
  Results(const fs::path& folder, const Experiment& experiment, const Study& study);
  void record(const Row& coordinates, const Scenario& scenario, const std::vector<Answer>& answers);
  // Records two recognisers as one, from the answers of both by coordinates.
  void record_combined(const Pairing& pairing, const std::map<Row, Answers>& answers);
  void finish();

 private:
  void record_curve(const Row& coordinates, const Combined& combined, std::size_t trial, const std::string& person,
                    Label label);

  const Experiment& experiment_;
  const Study& study_;
  TableFile rows_, trials_, others_;
  std::optional<TableFile> thresholds_;
};

// The stages of a cloak detector's scores of posted photos, and of the same photos clean.
struct DetectionStages {
  std::shared_ptr<EmbeddingStage> clean, posted;
};
DetectionStages detection_stages(const Experiment& experiment, const Study& study,
                                 const std::shared_ptr<const FeatureExtractor>& detector, TreatmentId treatment);

// Writes detections.csv: the cloak detectors' scores of posted photos, and of the same photos clean, after the same
// transform.
void record_detections(const fs::path& folder, const Experiment& experiment, Study& study, Executor& executor);

// Writes strangers.csv: who each recogniser takes strangers for, and at what distance, for the table open-set.
void record_strangers(const fs::path& folder, const Experiment& experiment, Study& study, Executor& executor);

}  // namespace facepoison
