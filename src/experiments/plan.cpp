// The table of a planned run, as --dry-run prints it.
#include <algorithm>
#include <cmath>

#include "facepoison/experiment.hpp"
#include "experiments/config.hpp"
#include "experiments/table_recognisers.hpp"

namespace facepoison {

Table planned_rows(const Experiment& e) {
  Table table{{"extractor", "released", "strategy", "surrogate"}, {}, {}};
  const auto all = combinations(e.axes);
  for (const auto& [axis, value] : all.front().coordinates()) table.columns.push_back(axis);
  table.columns.push_back("classifier");
  for (const auto& recogniser : table_recognisers(e))
    for (const auto& combination : all)
      for (const auto& classifier : e.classifiers) {
        std::vector<Cell> row = {recogniser.name, recogniser.released, strategy(*combination.attack, recogniser),
                                 optimises_against(*combination.attack, recogniser) ? "yes" : "no"};
        for (const auto& [axis, value] : combination.coordinates()) row.emplace_back(value);
        row.emplace_back(classifier.name);
        table.add(std::move(row));
      }
  return table;
}

Table with_all_seeds(Table table) {
  const auto seed = column(table, "seed", "the table");
  auto together = table.rows;
  for (auto& row : together) row[seed] = "all";
  if (std::any_of(table.rows.begin(), table.rows.end(),
                  [&](const auto& row) { return row[seed] != table.rows.front()[seed]; }))
    table.rows.insert(table.rows.end(), together.begin(), together.end());
  return table;
}

Table plan(const Experiment& e, const std::vector<PlannedUnit>& units) {
  std::map<std::string, std::int64_t> probes;
  for (const auto row : e.test) ++probes[e.dataset.photos[row].person];
  Table table = planned_rows(e);
  table.columns.insert(table.columns.end(), {"people", "n"});
  const auto list = e.is_prepared() ? scenarios(e, e.protected_people).list : std::vector<Scenario>();
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    if (list.empty()) {
      table.rows[i].insert(table.rows[i].end(), {Cell(""), Cell("")});
      continue;
    }
    std::int64_t n = 0;
    const auto& trials = list[i / e.classifiers.size() % list.size()].trials;
    for (const auto& trial : trials) n += probes[trial.person];
    table.rows[i].insert(table.rows[i].end(), {Cell(static_cast<std::int64_t>(trials.size())), Cell(n)});
  }
  table.notes.push_back(e.is_prepared() ? concat("run folder: ", default_run_folder(e).string())
                                        : concat("the photos in ", e.dataset.folder.string(),
                                                 " are not prepared yet, so no more is known of the work"));
  std::size_t missing = 0, unknown = 0;
  double seconds = 0;
  for (const auto& unit : units) {
    if (unit.stored || unit.id.kind == "all") continue;
    ++missing;
    if (std::isnan(unit.seconds))
      ++unknown;
    else
      seconds += unit.seconds;
  }
  table.notes.push_back(concat("units of work: ", units.size(), ", to make ", missing, ", about ",
                               static_cast<std::int64_t>(std::ceil(seconds)), " s",
                               unknown ? concat(" and ", unknown, " of a kind that was never made here") : ""));
  return table;
}

}  // namespace facepoison
