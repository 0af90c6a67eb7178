// The table "protection", and tables without columns that do not vary.
#include <algorithm>
#include <cmath>

#include "facepoison/coordinates.hpp"
#include "facepoison/error.hpp"
#include "facepoison/report.hpp"
#include "facepoison/stats.hpp"
#include "report/run_folder.hpp"

namespace facepoison {
namespace {

std::string rounded(double dssim) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4f", dssim);
  return text;
}

// Notes on the attacks' budgets, from the audited files.
std::vector<std::string> budget_notes(const fs::path& folder) {
  struct Sum {
    double photos = 0, changed = 0, linf = 0, dssim = 0, seen = 0, psnr = 0, measured = 0, energy_left = 0;
    std::map<std::string, int> statuses{{"infeasible", 0}};
  };
  std::map<std::string, Sum> sums;
  read_named(folder / "budget.csv", [&](const NamedRow& row) {
    const bool through = row.has("transform") && row.word("transform") != "none";
    auto& sum = sums[through ? concat(row.word("attack"), " through ", row.word("transform")) : row.word("attack")];
    ++sum.photos;
    if (const auto status = row.word("status"); status != "ok") ++sum.statuses[status];
    if (through && !row.word("energy_left").empty()) {  // those with nothing left are among them
      ++sum.measured;
      sum.energy_left += row.number("energy_left");
    }
    if (row.number("linf") == 0) return;  // unchanged: its PSNR is infinite
    ++sum.changed;
    sum.linf = std::max(sum.linf, row.number("linf"));
    sum.dssim += row.number("dssim");
    sum.seen += row.word("dssim_seen").empty() ? std::nan("") : row.number("dssim_seen");
    sum.psnr += row.number("psnr");
  });
  std::vector<std::string> notes;
  for (const auto& [attack, sum] : sums) {
    if (sum.changed == 0) continue;
    char numbers[128];
    std::snprintf(numbers, sizeof numbers, "L∞ ≤ %.0f/255, mean PSNR %.1f dB, mean DSSIM ", sum.linf,
                  sum.psnr / sum.changed);
    const std::string seen = std::isnan(sum.seen) ? ""
                                                  : concat(" over the canvas, ", rounded(sum.seen / sum.changed),
                                                           " over what the surrogates see");
    std::string statuses;
    for (const auto& [status, count] : sum.statuses) statuses += concat(", ", count, " ", status);
    notes.push_back(concat(
        "attack ", attack, ": ", sum.photos, " photos", statuses, "; in the written files: ", numbers,
        rounded(sum.dssim / sum.changed), seen,
        sum.measured > 0 ? concat(", mean share of its energy left ", rounded(sum.energy_left / sum.measured)) : ""));
  }
  return notes;
}

Count sum_of(const std::map<std::string, Count>& counts) {
  Count sum;
  for (const auto& [person, count] : counts) sum = {sum.n + count.n, sum.errors + count.errors};
  return sum;
}

std::vector<Cell> counted(const RowAnswers& group) {
  auto cells = rate_of(group);
  const auto others = sum_of(group.others);
  if (group.people.empty())
    append(cells, {unknown, std::int64_t{0}});
  else
    append(cells, {others.rate(), static_cast<std::int64_t>(others.n)});
  return cells;
}

std::vector<Cell> counted(const RowAnswers& group, const std::string& person) {
  const auto& own = group.own.at(person);
  const auto found = group.others.find(person);
  const Count others = found == group.others.end() ? Count{} : found->second;
  const auto interval = clopper_pearson(own.rate(), own.n);
  return {person,        static_cast<std::int64_t>(own.n),   own.rate(), interval.low, interval.high,
          others.rate(), static_cast<std::int64_t>(others.n)};
}

}  // namespace

std::vector<std::string> table_columns(bool by_person) {
  auto columns = key_columns;
  for (const auto* name : {by_person ? "protected" : "people", "n", "protection", "low", "high", "others_error",
                           "others_n", "surrogate", "left_out", "not_enrolled"})
    columns.emplace_back(name);
  return columns;
}

Table table_of_run(const fs::path& folder, bool by_person) {
  const RunFolder run = read_run(folder);
  Table table;
  table.columns = table_columns(by_person);
  for (const auto& group : run.groups) {
    const bool attacked = run.attacked.at(group.value("attack")).count(group.value("extractor"));
    const auto add = [&](std::vector<Cell> numbers) {
      auto row = key_cells(group, run);
      append(row, std::move(numbers));
      append(row, {attacked ? "yes" : "no", static_cast<std::int64_t>(group.left_out),
                   static_cast<std::int64_t>(group.not_enrolled.size())});
      table.add(std::move(row));
    };
    if (!by_person) add(counted(group));
    for (const auto& person : group.people)
      if (by_person) add(counted(group, person));
  }
  table.notes = run.notes;
  for (const auto& note : budget_notes(folder)) table.notes.push_back(note);
  table.notes.push_back(by_person ? "protection: a person's share of misclassified clean probes; low, high: Clopper "
                                    "and Pearson over the probes, 95 %"
                                  : "protection: mean over protected people of their share of misclassified clean "
                                    "probes; low, high: Korn and Graubard over people, 95 %");
  return table;
}

Table for_reading(Table table) {
  std::set<std::string, std::less<>> quiet = {"strategy", "left_out", "not_enrolled"};
  for (const auto& axis : axis_columns)
    if (axis.name != "attack") quiet.emplace(axis.name);
  for (std::size_t c = table.columns.size(); c-- > 0;) {
    const bool varies = std::any_of(table.rows.begin(), table.rows.end(),
                                    [&](const auto& row) { return row[c] != table.rows.front()[c]; });
    if (varies || !quiet.count(table.columns[c])) continue;
    const auto index = static_cast<std::ptrdiff_t>(c);
    table.columns.erase(table.columns.begin() + index);
    for (auto& row : table.rows) row.erase(row.begin() + index);
  }
  return table;
}

}  // namespace facepoison
