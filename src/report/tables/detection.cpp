// The table "detection": can perturbed photos be told from clean ones? For each detector, attack and transform it has
// as many clean photos as perturbed ones: the same photos, through the same transform.
#include "facepoison/error.hpp"
#include "facepoison/stats.hpp"
#include "report/tables/registry.hpp"

namespace facepoison {
namespace {

// The verdicts on a photo, in all seeds that have it.
struct JudgedPhoto {
  double seeds = 0, found = 0, false_alarms = 0;
};

struct SeedScores {
  std::vector<double> clean, perturbed;
};

struct Told {
  std::map<std::string, std::map<std::string, JudgedPhoto>> of;  // by person, by id
  std::map<std::string, SeedScores> by_seed;
};

// Each person's share of photos that were found, or that were false alarms.
std::vector<double> shares_of(const Told& told, double JudgedPhoto::* counted) {
  std::vector<double> all;
  for (const auto& [person, photos] : told.of) {
    double sum = 0;
    for (const auto& [id, photo] : photos) sum += photo.*counted / photo.seeds;
    all.push_back(sum / static_cast<double>(photos.size()));
  }
  return all;
}

double photos_of(const Told& told) {
  double n = 0;
  for (const auto& [person, photos] : told.of) n += static_cast<double>(photos.size());
  return n;
}

double area_of(const Told& told) {
  std::vector<double> areas;
  for (const auto& [seed, scores] : told.by_seed) areas.push_back(area_under_curve(scores.clean, scores.perturbed));
  return mean(areas);
}

// Precision where one photo in `in` is perturbed.
double precision(double recall, double false_alarm_rate, double in) {
  const double right = recall / in, wrong = false_alarm_rate * (1 - 1 / in);
  return right / (right + wrong);  // NaN where nothing is flagged
}

}  // namespace

Table detection(const fs::path& folder) {
  const RunFolder run = read_run(folder);
  const auto file = folder / "detections.csv";
  if (!fs::exists(file))
    throw Error(Exit::usage, concat(file.string(), " does not exist: this run's config names no \"detectors\""));
  using Key = std::vector<std::string>;  // detector, trained_on, attack, transform
  std::map<Key, Told> rows;
  std::vector<Key> order;
  read_named(file, [&](const NamedRow& row) {
    Key key = {row.word("detector"), row.word("trained_on"), row.word("attack"), row.word("transform")};
    const auto [found, is_new] = rows.try_emplace(key);
    if (is_new) order.push_back(std::move(key));
    auto& told = found->second;
    const double clean = row.number("clean"), perturbed = row.number("perturbed"), threshold = row.number("threshold");
    auto& scores = told.by_seed[row.has("seed") ? row.word("seed") : "0"];
    scores.clean.push_back(clean);
    scores.perturbed.push_back(perturbed);
    auto& photo = told.of[row.word("protected")][row.word("id")];
    ++photo.seeds;
    photo.found += perturbed >= threshold;
    photo.false_alarms += clean >= threshold;
  });
  Table table{{"detector", "trained_on", "attack", "transform", "people", "photos", "precision", "recall", "auc", "low",
               "high", "false_alarms", "precision_at_1_percent"},
              {},
              run.notes};
  for (const auto& key : order) {
    const auto& told = rows.at(key);
    const auto found = shares_of(told, &JudgedPhoto::found);
    const double n = photos_of(told), recall = mean(found),
                 false_alarms = mean(shares_of(told, &JudgedPhoto::false_alarms));
    const auto interval = protection_interval(found, n);
    table.add({key[0], key[1], key[2], key[3], static_cast<std::int64_t>(found.size()), static_cast<std::int64_t>(n),
               precision(recall, false_alarms, 2), recall, area_of(told), interval.low, interval.high, false_alarms,
               precision(recall, false_alarms, 100)});
  }
  table.notes.push_back(
      "photos: the number of perturbed photos, and of clean ones, each counted once for all seeds; recall: share of "
      "perturbed photos that are flagged, mean over people; low, high: of recall, Korn and Graubard over people, 95 %; "
      "false_alarms: share of clean photos that are flagged, mean over people; precision: share of flagged photos that "
      "are perturbed, by these two means, if half of the photos are perturbed, or one in a hundred; auc: mean over "
      "seeds");
  return table;
}

}  // namespace facepoison
