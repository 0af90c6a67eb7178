// The table "confusion": whom are protected people taken for, and who is taken for them?
#include <algorithm>

#include "facepoison/stats.hpp"
#include "report/tables/registry.hpp"

namespace facepoison {
namespace {

// Names that were given in the trials of one row.
struct Names {
  std::map<std::string, std::map<std::string, double>> wrong;  // by protected person: whom their probes are taken for
  double n = 0, others = 0, as_protected = 0;
};

double sum_of(const std::map<std::string, double>& counts) {
  double sum = 0;
  for (const auto& [name, count] : counts) sum += count;
  return sum;
}

std::pair<std::string, double> largest(const std::map<std::string, double>& counts) {
  return *std::max_element(counts.begin(), counts.end(),
                           [](const auto& a, const auto& b) { return a.second < b.second; });
}

// The cells wrong, names, concentration, most, most_share
std::vector<Cell> counted(const Names& names) {
  std::map<std::string, double> all;
  std::vector<double> different, shares;
  for (const auto& [person, counts] : names.wrong) {
    for (const auto& [name, count] : counts) all[name] += count;
    different.push_back(static_cast<double>(counts.size()));
    shares.push_back(largest(counts).second / sum_of(counts));
  }
  if (all.empty()) return {std::int64_t{0}, unknown, unknown, unknown, unknown};
  const auto [most, count] = largest(all);
  return {static_cast<std::int64_t>(sum_of(all)), mean(different), mean(shares), most, count / sum_of(all)};
}

}  // namespace

Table confusion(const fs::path& folder) {
  const RunFolder run = read_run(folder);
  std::map<std::vector<std::string>, Names> by_coordinates;
  read_named(folder / "trials.csv", [&](const NamedRow& row) {
    auto& names = by_coordinates[coordinates_of(row).values];
    ++names.n;
    if (row.word("correct") == "0" && !row.word("predicted").empty())  // "nobody" is not a name
      ++names.wrong[row.word("protected")][row.word("predicted")];
  });
  read_named(folder / "others.csv", [&](const NamedRow& row) {
    auto& names = by_coordinates[coordinates_of(row).values];
    names.others += row.number("n");
    names.as_protected += row.number("as_protected");
  });
  Table table = table_with(
      run, {"n", "wrong", "names", "concentration", "most", "most_share", "others_n", "as_protected"},
      "wrong: protected people's probes that are taken for somebody else; names: the number of different wrong names "
      "of a person, mean over people with one; concentration: share of a person's wrong probes with the most frequent "
      "name, mean over the same people; most, most_share: the most frequent wrong name of all, and its share; "
      "as_protected: other people's probes that are taken for the protected person, of others_n");
  for (const auto& group : run.groups) {
    const auto found = by_coordinates.find(group.values);
    if (found == by_coordinates.end()) continue;  // all seeds together: names of different draws are not of one trial
    auto row = key_cells(group, run);
    row.emplace_back(static_cast<std::int64_t>(found->second.n));
    append(row, counted(found->second));
    append(row,
           {static_cast<std::int64_t>(found->second.others), static_cast<std::int64_t>(found->second.as_protected)});
    table.add(std::move(row));
  }
  return table;
}

}  // namespace facepoison
