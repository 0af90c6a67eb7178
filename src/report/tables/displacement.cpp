// The table "displacement", why an attack works or not: how far did it move an embedding, and is anybody nearer?
#include <cmath>

#include "facepoison/stats.hpp"
#include "report/tables/registry.hpp"

namespace facepoison {

Table displacement(const fs::path& folder) {
  const RunFolder run = read_run(folder);
  Table table = table_with(
      run, {"moved", "nearest_other", "people", "n", "beyond", "low", "high"},
      "moved: Euclidean distance of a perturbed photo's embedding to the clean photo's; nearest_other: to the nearest "
      "clean gallery photo of anybody else; beyond: share of photos that are farther from their clean version than "
      "from somebody else; means over people; low, high: Korn and Graubard over people, 95 %");
  const auto file = folder / "displacements.csv";
  const auto read = [&](const Number& number) { return read_measured(file, "displacement", number); };
  const auto moved = read([](const NamedRow& row) { return row.number_or_unknown("moved"); });
  const auto nearest = read([](const NamedRow& row) { return row.number_or_unknown("nearest_other"); });
  const auto beyond = read([](const NamedRow& row) {
    const double moved = row.number_or_unknown("moved"), nearest = row.number_or_unknown("nearest_other");
    return std::isnan(moved + nearest) ? std::nan("") : moved > nearest ? 1.0 : 0.0;
  });
  for (std::size_t i = 0; i < moved.size(); ++i) {
    auto cells = key_cells(moved[i], run);
    append(cells, {mean(moved[i].means()), mean(nearest[i].means())});
    append(cells, mean_of(beyond[i]));
    table.add(std::move(cells));
  }
  return table;
}

}  // namespace facepoison
