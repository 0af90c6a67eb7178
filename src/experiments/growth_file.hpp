// Writes rounds.csv, for the table "growth": a row for each round of each protected person's trackers.
#pragma once
#include "facepoison/growth.hpp"
#include "experiments/records.hpp"

namespace facepoison {

class GrowthFile {
 public:
  GrowthFile(const fs::path& folder, const Study& study);
  void record(const Row& coordinates, const GrowthStage& stage, const ArtifactStore& store);
  void finish() { file_.finish(); }

 private:
  TableFile file_;
};

}  // namespace facepoison
