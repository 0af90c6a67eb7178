#include <algorithm>
#include <cmath>

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

// What the attacks spent, from the audited files.
std::vector<std::string> budget_notes(const fs::path& folder) {
  struct Sum {
    double photos = 0, changed = 0, linf = 0, dssim = 0, seen = 0, psnr = 0;
    std::map<std::string, int> statuses{{"infeasible", 0}};
  };
  std::map<std::string, Sum> sums;
  read_named(folder / "budget.csv", [&](const NamedRow& row) {
    auto& sum = sums[row.word("attack")];
    ++sum.photos;
    if (const auto status = row.word("status"); status != "ok") ++sum.statuses[status];
    if (row.number("linf") == 0) return;  // as it was: its PSNR is infinite
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
    notes.push_back(concat("attack ", attack, ": ", sum.photos, " photos", statuses,
                           "; in the written files: ", numbers, rounded(sum.dssim / sum.changed), seen));
  }
  return notes;
}

std::vector<Cell> row_of_group(const Group& group, const Cell& released, const Cell& surrogate) {
  std::vector<double> rates;
  Count all, others;
  for (const auto& person : group.people) {
    const auto& count = group.own.at(person);
    rates.push_back(count.rate());
    all.n += count.n;
  }
  for (const auto& [person, count] : group.others) others = {others.n + count.n, others.errors + count.errors};
  const auto interval = protection_interval(rates, all.n);
  return {group.value("extractor"),
          released,
          group.value("attack"),
          group.value("classifier"),
          static_cast<std::int64_t>(rates.size()),
          static_cast<std::int64_t>(all.n),
          mean(rates),
          interval.low,
          interval.high,
          others.rate(),
          static_cast<std::int64_t>(others.n),
          surrogate};
}

std::vector<Cell> row_of_person(const Group& group, const std::string& person, const Cell& released,
                                const Cell& surrogate) {
  const auto& own = group.own.at(person);
  const auto found = group.others.find(person);
  const Count others = found == group.others.end() ? Count{} : found->second;
  const auto interval = clopper_pearson(own.rate(), own.n);
  return {group.value("extractor"),
          released,
          group.value("attack"),
          group.value("classifier"),
          person,
          static_cast<std::int64_t>(own.n),
          own.rate(),
          interval.low,
          interval.high,
          others.rate(),
          static_cast<std::int64_t>(others.n),
          surrogate};
}

}  // namespace

std::vector<std::string> table_columns(bool by_person) {
  return {"extractor", "released",   "attack", "classifier", by_person ? "protected" : "people",
          "n",         "protection", "low",    "high",       "others_error",
          "others_n",  "surrogate"};
}

Table table_of_run(const fs::path& folder, bool by_person) {
  const RunFolder run = read_run(folder);
  Table table;
  table.columns = table_columns(by_person);
  for (const auto& group : run.groups) {
    const Cell surrogate = run.attacked.at(group.value("attack")).count(group.value("extractor")) ? "yes" : "no",
               released = run.released.at(group.value("extractor"));
    if (!by_person) table.add(row_of_group(group, released, surrogate));
    for (const auto& person : group.people)
      if (by_person) table.add(row_of_person(group, person, released, surrogate));
  }
  table.notes = run.notes;
  for (const auto& note : budget_notes(folder)) table.notes.push_back(note);
  table.notes.push_back(by_person ? "protection: a person's share of misclassified clean probes; low, high: Clopper "
                                    "and Pearson over the probes, 95 %"
                                  : "protection: mean over protected people of their share of misclassified clean "
                                    "probes; low, high: Korn and Graubard over people, 95 %");
  return table;
}

}  // namespace facepoison
