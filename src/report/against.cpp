#include <algorithm>

#include "facepoison/error.hpp"
#include "facepoison/report.hpp"
#include "facepoison/stats.hpp"
#include "report/run_folder.hpp"

namespace facepoison {
namespace {

std::vector<Cell> row_of(const Group& group, const Group& other, const std::string& released) {
  std::vector<double> rates, differences;
  for (const auto& person : group.people) {
    rates.push_back(group.own.at(person).rate());
    differences.push_back(rates.back() - other.own.at(person).rate());
  }
  const auto found = paired_difference(differences);
  const auto [low, high] = found.interval;
  const std::string reading = low > 0 ? "above 0" : high < 0 ? "below 0" : "the interval includes 0";
  return {group.value("extractor"),
          released,
          group.value("attack"),
          group.value("classifier"),
          static_cast<std::int64_t>(rates.size()),
          mean(rates),
          mean(rates) - found.mean,
          found.mean,
          low,
          high,
          found.p,
          reading};
}

}  // namespace

Table differences_of_run(const fs::path& folder, const std::string& key, const std::string& value) {
  const RunFolder run = read_run(folder);
  Table table{{"extractor", "released", "attack", "classifier", "people", "protection", "against", "difference", "low",
               "high", "p", "reading"},
              {},
              {}};
  for (const auto& group : run.groups) {
    auto place = group.at;
    place[static_cast<std::size_t>(std::find(coordinates.begin(), coordinates.end(), key) - coordinates.begin())] =
        value;
    const auto found =
        std::find_if(run.groups.begin(), run.groups.end(), [&](const Group& other) { return other.at == place; });
    if (found == run.groups.end())
      throw Error(Exit::usage,
                  concat("--against ", key, "=", value, ": ", folder.string(), " has no row with this ", key));
    if (&*found != &group) table.add(row_of(group, *found, run.released.at(group.value("extractor"))));
  }
  table.notes = run.notes;
  table.notes.push_back(
      concat("against: the protection in the row with ", key, " ", value,
             " and all else alike; difference: of the two, over the same people; low, high: Student's t over people's "
             "differences, 95 %, which has no width where all differ alike; p: sign-flip test, two-sided"));
  return table;
}

}  // namespace facepoison
