// The table "rank": is the person among the first few names of the recogniser?
#include "report/tables/registry.hpp"

namespace facepoison {

Table rank(const fs::path& folder) {
  const RunFolder run = read_run(folder);
  Table table = table_with(run, {"first", "people", "n", "share", "low", "high"},
                           "share: mean over protected people of the share of their clean probes with the person among "
                           "the first names, as many as `first` says; low, high: Korn and Graubard over people, 95 %; "
                           "two recognisers asked together have two guesses at most");
  for (const int first : {1, 2, 5, 10, 50}) {
    const auto groups = read_groups(folder, [&](const Coordinates&, const NamedRow& row) -> std::optional<bool> {
      if (row.word("rank") == "0") return std::nullopt;
      return row.word("rank").empty() || row.number("rank") > first;
    });
    for (const auto& group : groups) {
      auto cells = key_cells(group, run);
      cells.emplace_back(static_cast<std::int64_t>(first));
      append(cells, rate_of(group, true));
      table.add(std::move(cells));
    }
  }
  return table;
}

}  // namespace facepoison
