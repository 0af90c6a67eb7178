// Why an attack works or not: how far did it move an embedding, and is anybody nearer?
#include "facepoison/stats.hpp"
#include "report/tables/registry.hpp"

namespace facepoison {
namespace {

// Of people's means.
double mean_over_people(const Measured& measured) {
  std::vector<double> means;
  for (const auto& [person, numbers] : measured.of) means.push_back(mean(numbers));
  return mean(means);
}

}  // namespace

Table displacement(const fs::path& folder) {
  const RunFolder run = read_run(folder);
  Table table =
      table_with(run, {"moved", "nearest_other", "people", "n", "beyond", "low", "high"},
                 "moved: Euclidean distance of a perturbed photo's embedding to the clean photo's; "
                 "nearest_other: to the nearest clean gallery photo of anybody else; beyond: share of photos "
                 "whose clean self is farther away than somebody else; means over people; low, high: Korn and "
                 "Graubard over people, 95 %");
  const auto file = folder / "displacements.csv";
  const auto read = [&](const Number& number) { return read_measured(file, "displacement", number); };
  const auto moved = read([](const NamedRow& row) { return row.number("moved"); });
  const auto nearest = read([](const NamedRow& row) { return row.number("nearest_other"); });
  const auto beyond =
      read([](const NamedRow& row) { return row.number("moved") > row.number("nearest_other") ? 1.0 : 0.0; });
  for (std::size_t i = 0; i < moved.size(); ++i) {
    auto cells = place_of(moved[i], run);
    append(cells, {mean_over_people(moved[i]), mean_over_people(nearest[i])});
    append(cells, mean_of(beyond[i]));
    table.add(std::move(cells));
  }
  return table;
}

}  // namespace facepoison
