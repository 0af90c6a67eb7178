// Differences between a run's rows and the rows that differ from them in one coordinate.
#include <algorithm>

#include "facepoison/error.hpp"
#include "facepoison/report.hpp"
#include "facepoison/unicode.hpp"
#include "report/paired.hpp"

namespace facepoison {
namespace {

// The cells of a row after its coordinates, over the people of both groups.
std::vector<Cell> numbers_of(const RowAnswers& group, const RowAnswers& other) {
  const auto people = people_of_both(group, other);
  const auto [protection, against, difference] = paired_rates(group, other, people);
  const auto& interval = difference.interval;
  return {static_cast<std::int64_t>(people.size()),
          protection,
          against,
          difference.mean,
          interval.low,
          interval.high,
          difference.p,
          people.empty() ? "nobody in common" : reading(difference, "above 0", "below 0", "the interval includes 0")};
}

// Does the other group have `value` for `key`, and the same coordinates otherwise? An axis that has no effect in one of
// them may differ.
bool is_counterpart(const RowAnswers& group, const RowAnswers& other, const std::string& key,
                    const std::string& value) {
  for (const auto& [name, neutral] : coordinate_columns) {
    if (name == key && decomposed(other.value(name)) != decomposed(value)) return false;
    if (name == key || other.value(name).empty() || group.value(name).empty()) continue;
    if (other.value(name) != group.value(name)) return false;
  }
  return true;
}

}  // namespace

Table differences_of_run(const fs::path& folder, const std::string& key, const std::string& value,
                         const std::string& attack) {
  const RunFolder run = read_run(folder);
  if (coordinate_index(key) == coordinate_columns.size()) {
    std::vector<std::string> names;
    for (const auto& [name, neutral] : coordinate_columns) names.push_back(name);
    throw Error(Exit::usage,
                concat("--against ", key, "=", value, ": expected one of ", listed(names), ", = and a value"));
  }
  Table table;
  for (const auto& [name, neutral] : coordinate_columns) {
    table.columns.push_back(name);
    if (name == "extractor") table.columns.emplace_back("released");
  }
  for (const auto* name : {"people", "protection", "against", "difference", "low", "high", "p", "reading"})
    table.columns.emplace_back(name);
  std::size_t in_common = 0;
  for (const auto& group : run.groups) {
    if (group.people.empty() || decomposed(group.value(key)) == decomposed(value)) continue;
    if (!attack.empty() && group.value("attack") != attack) continue;
    const auto found = std::find_if(run.groups.begin(), run.groups.end(),
                                    [&](const RowAnswers& other) { return is_counterpart(group, other, key, value); });
    if (found == run.groups.end())
      throw Error(Exit::usage,
                  concat("--against ", key, "=", value, ": ", folder.string(), " has no row with this ", key));
    in_common += people_of_both(group, *found).size();
    std::vector<Cell> row(group.values.begin(), group.values.end());
    row.insert(row.begin() + 1, run.released.at(group.value("extractor")));
    append(row, numbers_of(group, *found));
    table.add(std::move(row));
  }
  if (!table.rows.empty() && in_common == 0)
    throw Error(Exit::input, concat("--against ", key, "=", value, ": the rows with this ", key,
                                    " have nobody in common with the others of ", folder.string()));
  table.notes = run.notes;
  table.notes.push_back(concat(
      "against: the protection in the row with ", key, " ", value,
      " and all else equal; difference: between the two, over the same people; low, high: Student's t over people's "
      "differences, 95 %, with no width if all differ by the same amount; p: sign-flip test, two-sided; reading: ",
      too_few_people, " if fewer than ", least_people_who_differ,
      " people are there or differ, since p is then never below .05"));
  return table;
}

}  // namespace facepoison
