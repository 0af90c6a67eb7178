// What each threshold of a combination would give: the lower it is, the more often the robust recogniser answers.
#include "facepoison/error.hpp"
#include "facepoison/stats.hpp"
#include "report/tables/registry.hpp"

namespace facepoison {
namespace {

// A row of the table: one cell's games under one share.
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
  std::vector<std::vector<std::string>> order;
  read_named(file, [&](const NamedRow& row) {
    std::vector<std::string> at;
    for (const auto& [name, neutral] : coordinates) at.push_back(row.has(name) ? row.word(name) : neutral);
    if (!curves.count(at)) order.push_back(at);
    auto& point = curves[at][row.number("share")];
    point.thresholds.push_back(number_of(row.word("threshold"), file.string()));
    point.rates.push_back(row.number("errors") / row.number("n"));
    point.n += row.number("n");
    point.others = {point.others.n + row.number("others_n"), point.others.errors + row.number("others_errors")};
  });
  Table table = table_with(run, {"share", "tau", "people", "n", "protection", "low", "high", "others_error"},
                           "share: of clean probes (of half of the people, but for the protected one) whose nearest is "
                           "farther than tau for the accurate recogniser, where the robust one is asked; tau: its mean "
                           "over people; others_error: of the other half's probes; protection: mean over people; low, "
                           "high: Korn and Graubard over people, 95 %");
  table.columns.front() = "combine";
  for (const auto& at : order)
    for (const auto& [share, point] : curves.at(at)) {
      auto cells = place_of(Place{at}, run);
      const auto interval = protection_interval(point.rates, point.n);
      append(cells,
             {share, cell_of(mean(point.thresholds)), static_cast<std::int64_t>(point.rates.size()),
              static_cast<std::int64_t>(point.n), mean(point.rates), interval.low, interval.high, point.others.rate()});
      table.add(std::move(cells));
    }
  return table;
}

}  // namespace facepoison
