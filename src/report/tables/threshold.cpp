// The table "threshold": the results of each threshold of a combination. The lower it is, the more often the robust
// recogniser answers.
#include "facepoison/error.hpp"
#include "facepoison/stats.hpp"
#include "report/tables/registry.hpp"

namespace facepoison {
namespace {

// A row of the table: the trials of one combination of the axes under one share.
struct CurvePoint {
  std::vector<double> thresholds, rates;  // of people
  double n = 0;
  Count others;
};

}  // namespace

Table threshold(const fs::path& folder) {
  const RunFolder run = read_run(folder);
  const auto file = folder / "thresholds.csv";
  if (!fs::exists(file))
    throw Error(Exit::usage,
                concat(folder.string(), " has no curve: its config's \"combine\" has no threshold by share"));
  std::map<std::vector<std::string>, std::map<double, CurvePoint>> curves;
  std::vector<Coordinates> order;
  read_named(file, [&](const NamedRow& row) {
    const auto coordinates = coordinates_of(row);
    if (!curves.count(coordinates.values)) order.push_back(coordinates);
    auto& point = curves[coordinates.values][row.number("share")];
    const Count own{row.number("n"), row.number("errors")};
    point.thresholds.push_back(row.number_or_unknown("threshold"));
    if (own.n > 0) point.rates.push_back(own.rate());
    point.n += own.n;
    point.others = {point.others.n + row.number("others_n"), point.others.errors + row.number("others_errors")};
  });
  Table table = table_with(run, {"share", "tau", "people", "n", "protection", "low", "high", "others_error"},
                           "share: of clean probes (of half of the people, without the protected one) with the "
                           "accurate recogniser's nearest photo farther than tau, so that the robust one is asked; "
                           "tau: its mean over people, empty where all are farther; others_error: of the other half's "
                           "probes; protection: mean over people; low, high: Korn and Graubard over people, 95 %");
  table.columns.front() = "combine";
  for (const auto& coordinates : order)
    for (const auto& [share, point] : curves.at(coordinates.values)) {
      auto cells = key_cells(coordinates, run);
      append(cells, {share, mean(point.thresholds)});
      append(cells, people_and_mean(point.rates, point.n));
      cells.emplace_back(point.others.rate());
      table.add(std::move(cells));
    }
  return table;
}

}  // namespace facepoison
