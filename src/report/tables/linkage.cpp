// The table "linkage": do photos of a person, clean or posted, find each other, and do posted photos of different
// people look like one person?
#include "report/tables/registry.hpp"

namespace facepoison {

Table linkage(const fs::path& folder) {
  const RunFolder run = read_run(folder);
  Table table = table_with(
      run, {"measure", "people", "n", "value", "low", "high"},
      "X_in_Y: half of a person's photos ask, as X, for the k nearest of a database (cosine) with the other half, as "
      "Y, and everybody else's gallery photos, where k is the number of the other half; the value is the share of "
      "these "
      "k that is the person's; tar_at_r: share of pairs of a person's posted photos that are nearer than all but r of "
      "the pairs of posted photos of different protected people, who all use the same attack (TAR at FAR r); bcubed: "
      "precision, recall and F of the clusters in which posted photos of all protected people are linked if they are "
      "nearer than at FAR 0.001, directly or through others; means over people; low, high: Korn and Graubard over "
      "people, 95 %, with thresholds and clusters taken as given; n: queries, pairs or photos");
  constexpr std::pair<const char*, const char*> measures[] = {
      {"clean_in_clean", "queries"},   {"clean_in_posted", "queries"}, {"posted_in_clean", "queries"},
      {"posted_in_posted", "queries"}, {"tar_at_0.01", "pairs"},       {"tar_at_0.001", "pairs"},
      {"bcubed_precision", "photos"},  {"bcubed_recall", "photos"},    {"bcubed_f", "photos"}};
  for (const auto& [measure, counted] : measures)
    for (const auto& measured : read_measured(
             folder / "links.csv", "linkage",
             [name = measure](const NamedRow& row) { return row.number_or_unknown(name); },
             [name = counted](const NamedRow& row) { return row.number(name); })) {
      auto cells = key_cells(measured, run);
      cells.emplace_back(measure);
      append(cells, mean_of(measured));
      table.add(std::move(cells));
    }
  return table;
}

}  // namespace facepoison
