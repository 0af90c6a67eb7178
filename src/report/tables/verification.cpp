// The tables "verification" and "det", 1:1: is a clean probe nearer to the person's posted photos than to other
// people's?
#include "facepoison/coordinates.hpp"
#include "facepoison/text.hpp"
#include "report/tables/registry.hpp"

namespace facepoison {
namespace {

// A number of each person's row of pairs.csv, for each combination of the axes.
std::vector<Measured> read_pairs(const fs::path& folder, const std::string& table, const Number& number) {
  return read_measured(folder / "pairs.csv", table, number, [](const NamedRow& row) { return row.number("genuine"); });
}

}  // namespace

Table verification(const fs::path& folder) {
  const RunFolder run = read_run(folder);
  Table table = table_with(
      run, {"measure", "people", "n", "value", "low", "high"},
      "pairs of a protected person's clean probe with the photos that the trial changes (genuine) and with everybody "
      "else's gallery photos (impostors), cosine; auc: share of a person's (genuine, impostor) pairs in which the "
      "genuine pair is nearer; accepted at r: share of genuine pairs nearer than all but r of all protected people's "
      "impostors (TAR at FAR r); mean over people; low, high: Korn and Graubard over people, 95 %; n: genuine pairs");
  for (const auto* measure : {"auc", "accepted_at_0.01", "accepted_at_0.001"})
    for (const auto& measured :
         read_pairs(folder, "verification", [&](const NamedRow& row) { return row.number_or_unknown(measure); })) {
      auto cells = key_cells(measured, run);
      cells.emplace_back(measure);
      append(cells, mean_of(measured));
      table.add(std::move(cells));
    }
  return table;
}

Table det(const fs::path& folder) {
  const RunFolder run = read_run(folder);
  Table table = table_with(run, {"far", "people", "n", "missed", "low", "high"},
                           "missed: share of a protected person's genuine pairs (see verification) that are not "
                           "accepted if at most the share far of all protected people's impostors is accepted; mean "
                           "over people; low, high: Korn and Graubard over people, 95 %; n: genuine pairs");
  for (const auto* rate : false_accept_rates)
    for (const auto& measured : read_pairs(folder, "det", [&](const NamedRow& row) {
           return 1 - row.number_or_unknown(concat("accepted_at_", rate));
         })) {
      auto cells = key_cells(measured, run);
      cells.emplace_back(rate);
      append(cells, mean_of(measured));
      table.add(std::move(cells));
    }
  return table;
}

}  // namespace facepoison
