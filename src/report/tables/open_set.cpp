// The table "open-set", for a trainer who may answer "nobody I know": how often is a protected person missed, and how
// often is a person found who is not enrolled? The threshold is set on strangers: unprotected people, each taken out of
// everybody's clean gallery.
#include <algorithm>
#include <cmath>

#include "facepoison/coordinates.hpp"
#include "facepoison/error.hpp"
#include "report/tables/registry.hpp"

namespace facepoison {
namespace {

// What a threshold depends on: the coordinates that strangers have.
using Setting = std::vector<std::string>;

// Makes a setting from `value_of`, called with each coordinate's name and neutral value.
template <class Value>
Setting setting_by(const Value& value_of) {
  Setting setting = {value_of("extractor", "")};
  for (const auto& axis : axis_columns)
    if (!axis.is_of_the_protected) setting.push_back(value_of(std::string(axis.name), std::string(axis.neutral)));
  setting.push_back(value_of("classifier", ""));
  return setting;
}

Setting setting_of(const Coordinates& coordinates) {
  return setting_by([&](const std::string& name, const std::string&) { return coordinates.value(name); });
}

Setting setting_of(const NamedRow& row) {
  return setting_by(
      [&](const std::string& name, const std::string& neutral) { return row.has(name) ? row.word(name) : neutral; });
}

std::map<Setting, std::vector<double>> read_strangers(const fs::path& file) {
  if (!fs::exists(file))
    throw Error(Exit::usage, concat(file.string(),
                                    " does not exist: this run's config does not list the table \"open-set\"; add it "
                                    "to \"tables\" and run the config again"));
  std::map<Setting, std::vector<double>> strangers;
  read_named(file, [&](const NamedRow& row) {
    const double distance = row.number_or_unknown("distance");
    if (std::isnan(distance)) return;
    strangers[setting_of(row)].push_back(distance);
  });
  return strangers;
}

// The threshold below which at most this share of the strangers' distances lie.
double threshold_at(std::vector<double> distances, double rate) {
  std::sort(distances.begin(), distances.end());
  const auto most = static_cast<std::size_t>(std::floor(rate * static_cast<double>(distances.size()) + 1e-9));
  return most < distances.size() ? distances[most] : INFINITY;
}

}  // namespace

Table open_set(const fs::path& folder) {
  const RunFolder run = read_run(folder);
  const double rate = read_json(folder / "config.resolved.json").value("false_positive_rate", 0.01);
  const auto strangers = read_strangers(folder / "strangers.csv");
  std::map<Setting, double> thresholds;
  for (const auto& [setting, distances] : strangers) thresholds[setting] = threshold_at(distances, rate);
  const auto groups =
      read_groups(folder, [&](const Coordinates& coordinates, const NamedRow& row) -> std::optional<bool> {
        const auto found = thresholds.find(setting_of(coordinates));
        if (found == thresholds.end()) return std::nullopt;  // two recognisers have no distance of their own
        const bool named = row.number_or_unknown("distance") < found->second;  // nobody, where a filter left nobody
        return coordinates.value("enrolled") == "absent" ? named : !named || row.word("correct") == "0";
      });
  Table table = table_with(
      run, {"measure", "threshold", "strangers", "people", "n", "share", "low", "high"},
      concat(
          "threshold: the distance below which ", rate,
          " of strangers' probes find somebody (people who are not protected, each taken out of the gallery); fnir: "
          "share of a protected person's probes that find nobody or another; fpir: share of those that find somebody "
          "if the person is not enrolled; mean over people; low, high: Korn and Graubard over people, 95 %"));
  for (const auto& group : groups) {
    const auto found = strangers.find(setting_of(group));
    const bool all_seeds = group.value("seed") == "all" && !group.people.empty();  // each had its own threshold
    if (found == strangers.end() && !all_seeds) continue;
    auto cells = key_cells(group, run);
    cells.emplace_back(group.value("enrolled") == "absent" ? "fpir" : "fnir");
    if (all_seeds)
      append(cells, {unknown, unknown});
    else
      append(cells, {thresholds.at(found->first), static_cast<std::int64_t>(found->second.size())});
    append(cells, rate_of(group));
    table.add(std::move(cells));
  }
  return table;
}

}  // namespace facepoison
