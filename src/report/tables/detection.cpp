// Can perturbed photos be told from clean ones? Of each detector, attack and transform, as many clean photos as
// perturbed ones: the same, through the same transform.
#include "facepoison/error.hpp"
#include "facepoison/stats.hpp"
#include "report/tables/registry.hpp"

namespace facepoison {
namespace {

struct Told {
  std::map<std::string, Count> found;    // of each person: perturbed photos, and those flagged
  std::vector<double> clean, perturbed;  // scores
  double false_alarms = 0;
};

// Precision where one photo in `in` is perturbed.
double precision(double recall, double false_alarm_rate, double in) {
  const double right = recall / in, wrong = false_alarm_rate * (1 - 1 / in);
  return right + wrong > 0 ? right / (right + wrong) : std::nan("");
}

}  // namespace

Table detection(const fs::path& folder) {
  const RunFolder run = read_run(folder);
  const auto file = folder / "detections.csv";
  if (!fs::exists(file))
    throw Error(Exit::usage, concat(file.string(), " is not there: this run's config names no \"detectors\""));
  using At = std::vector<std::string>;  // detector, trained_on, attack, transform
  std::map<At, Told> cells;
  std::vector<At> order;
  read_named(file, [&](const NamedRow& row) {
    At at = {row.word("detector"), row.word("trained_on"), row.word("attack"), row.word("transform")};
    const auto [place, is_new] = cells.try_emplace(at);
    if (is_new) order.push_back(std::move(at));
    auto& cell = place->second;
    const double clean = row.number("clean"), perturbed = row.number("perturbed"), threshold = row.number("threshold");
    cell.clean.push_back(clean);
    cell.perturbed.push_back(perturbed);
    cell.false_alarms += clean >= threshold;
    auto& count = cell.found[row.word("protected")];
    ++count.n;
    count.errors += perturbed >= threshold;
  });
  Table table{{"detector", "trained_on", "attack", "transform", "people", "photos", "precision", "recall", "auc", "low",
               "high", "false_alarms", "precision_at_1_percent"},
              {},
              run.notes};
  for (const auto& at : order) {
    const auto& cell = cells.at(at);
    std::vector<double> rates;
    for (const auto& [person, count] : cell.found) rates.push_back(count.rate());
    const auto n = static_cast<double>(cell.perturbed.size());
    const double recall = mean(rates), false_alarms = cell.false_alarms / n;
    const auto interval = protection_interval(rates, n);
    table.add({at[0], at[1], at[2], at[3], static_cast<std::int64_t>(rates.size()),
               static_cast<std::int64_t>(cell.perturbed.size()), cell_of(precision(recall, false_alarms, 2)), recall,
               area_under_curve(cell.clean, cell.perturbed), interval.low, interval.high, false_alarms,
               cell_of(precision(recall, false_alarms, 100))});
  }
  table.notes.push_back(
      "photos: so many perturbed ones, and as many clean ones; recall: share of perturbed photos that are flagged, "
      "mean "
      "over people; low, high: of it, Korn and Graubard over people, 95 %; false_alarms: share of the clean ones that "
      "are; precision: share of flagged photos that are perturbed, where half of them are, and where one in a hundred "
      "is");
  return table;
}

}  // namespace facepoison
