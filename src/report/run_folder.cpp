#include "report/run_folder.hpp"

#include <algorithm>
#include <cmath>

#include "facepoison/coordinates.hpp"
#include "facepoison/error.hpp"
#include "facepoison/stats.hpp"

namespace facepoison {
namespace {

std::vector<CoordinateColumn> make_coordinate_columns() {
  std::vector<CoordinateColumn> all = {{"extractor", ""}};
  for (const auto& axis : axis_columns) {
    if (axis.name == "seed") all.push_back({"classifier", ""});
    all.push_back({std::string(axis.name), std::string(axis.neutral)});
  }
  return all;
}

std::vector<std::string> make_key_columns() {
  std::vector<std::string> columns;
  for (const auto& [name, neutral] : coordinate_columns) {
    columns.push_back(name);
    if (name == "extractor") columns.insert(columns.end(), {"released", "strategy"});
  }
  return columns;
}

// Groups a file's rows by the row of the tables, in the order of their first appearance.
template <class Named>
class ByCoordinates {
 public:
  Named& of(const NamedRow& row) {
    Named one;
    one.values = coordinates_of(row).values;
    const auto [found, is_new] = index_.emplace(one.values, list.size());
    if (is_new) list.push_back(std::move(one));
    return list[found->second];
  }
  std::vector<Named> list;

 private:
  std::map<std::vector<std::string>, std::size_t> index_;
};

// Averages the values of one thing over seeds: the mean of the values, and the largest n.
class OverSeeds {
 public:
  void add(double value, double n) {
    sum_ += value;
    ++seeds_;
    n_ = std::max(n_, n);
  }
  double value() const { return sum_ / seeds_; }
  double n() const { return n_; }

 private:
  double sum_ = 0, seeds_ = 0, n_ = 0;
};

// Each person's rate is the mean over the seeds that drew that person.
std::map<std::string, Count> together(const std::vector<RowAnswers>& groups,
                                      std::map<std::string, Count> RowAnswers::* counts) {
  std::map<std::string, OverSeeds> seen;
  for (const auto& group : groups)
    for (const auto& [person, count] : group.*counts)
      if (count.n > 0) seen[person].add(count.rate(), count.n);
  std::map<std::string, Count> all;
  for (const auto& [person, one] : seen) all[person] = {one.n(), one.value() * one.n()};
  return all;
}

// Joins groups that differ in the seed.
RowAnswers together(const std::vector<RowAnswers>& groups) {
  RowAnswers all;
  all.own = together(groups, &RowAnswers::own);
  all.others = together(groups, &RowAnswers::others);
  for (const auto& [person, count] : all.own) all.people.push_back(person);
  for (const auto& group : groups) all.not_enrolled.insert(group.not_enrolled.begin(), group.not_enrolled.end());
  return all;
}

Measured together(const std::vector<Measured>& some) {
  std::map<std::string, std::map<std::size_t, OverSeeds>> seen;
  for (const auto& one : some)
    for (const auto& [person, numbers] : one.of)
      for (const auto& [thing, value, n] : numbers) seen[person][thing].add(value, n);
  Measured all;
  for (const auto& [person, things] : seen)
    for (const auto& [thing, one] : things) all.of[person].push_back({thing, one.value(), one.n()});
  return all;
}

// Puts groups that differ only in the seed next to each other, followed by all of them together.
template <class Named>
std::vector<Named> by_seed(std::vector<Named> groups) {
  std::vector<std::vector<Named>> alike;  // but for the seed
  std::map<std::vector<std::string>, std::size_t> index;
  for (auto& group : groups) {
    auto values = group.values;
    values[coordinate_index("seed")] = "";
    const auto [found, is_new] = index.emplace(std::move(values), alike.size());
    if (is_new) alike.emplace_back();
    alike[found->second].push_back(std::move(group));
  }
  std::vector<Named> ordered;
  for (const auto& seeds : alike) {
    ordered.insert(ordered.end(), seeds.begin(), seeds.end());
    if (seeds.size() == 1) continue;
    ordered.push_back(together(seeds));
    ordered.back().values = seeds.front().values;
    ordered.back().values[coordinate_index("seed")] = "all";
  }
  return ordered;
}

// Counts the people left out in every seed: rows.csv has their number for each seed, but no names. `drawn`: the
// protected people of each seed.
void count_left_out_of_all_seeds(std::vector<RowAnswers>& groups, const Json& drawn) {
  std::set<std::string> everybody;
  for (const auto& [seed, people] : drawn.items())
    for (const auto& person : people) everybody.insert(person);
  for (auto& group : groups) {
    if (group.value("seed") != "all") continue;
    group.left_out = static_cast<double>(std::count_if(everybody.begin(), everybody.end(), [&](const auto& person) {
      return !group.own.count(person) && !group.not_enrolled.count(person);
    }));
  }
}

}  // namespace

const std::vector<CoordinateColumn> coordinate_columns = make_coordinate_columns();
const std::vector<std::string> key_columns = make_key_columns();

std::size_t coordinate_index(const std::string& name) {
  const auto& all = coordinate_columns;
  const auto found = std::find_if(all.begin(), all.end(), [&](const auto& column) { return column.name == name; });
  return static_cast<std::size_t>(found - all.begin());
}

Coordinates coordinates_of(const NamedRow& row) {
  Coordinates coordinates;
  for (const auto& [name, neutral] : coordinate_columns)
    coordinates.values.push_back(row.has(name) ? row.word(name) : neutral);
  return coordinates;
}

bool NamedRow::has(const std::string& name) const {
  return std::find(columns_.begin(), columns_.end(), name) != columns_.end();
}

const std::string& NamedRow::word(const std::string& name) const {
  const auto found = std::find(columns_.begin(), columns_.end(), name);
  if (found == columns_.end()) throw Error(Exit::input, concat(where_, " has no column \"", name, "\""));
  return std::get<std::string>(cells_[static_cast<std::size_t>(found - columns_.begin())]);
}

void read_named(const fs::path& path, const std::function<void(const NamedRow&)>& on_row) {
  const std::string where = path.string();
  read_rows(path, [&](const auto& columns, std::vector<Cell> cells) { on_row({columns, std::move(cells), where}); });
}

RunFolder read_run(const fs::path& folder) {
  for (const auto* name : {"config.resolved.json", "run.json", "trials.csv", "others.csv", "budget.csv"})
    if (!fs::exists(folder / name))
      throw Error(Exit::input, concat(folder.string(), " holds no finished run: it lacks ", name));
  const Json config = read_json(folder / "config.resolved.json"), facts = read_json(folder / "run.json");
  RunFolder run{read_groups(folder), {}, {}, {}, facts.at("notes").get<std::vector<std::string>>()};
  count_left_out_of_all_seeds(run.groups, config.value("protected", Json::object()));
  for (const auto& extractor : config.at("extractors")) run.released[extractor.at("name")] = extractor.at("released");
  if (config.contains("combine"))
    for (const auto& pairing : config.at("combine")) run.released[pairing.at("name")] = pairing.at("released");
  for (const auto& attack : config.at("attacks")) {
    if (!attack.contains("attacked"))
      throw Error(Exit::input, concat(folder.string(), " was written by an older facepoison; run its config again"));
    run.attacked[attack.at("name")] = attack.at("attacked").get<std::set<std::string>>();
    if (attack.contains("strategies")) run.strategies[attack.at("name")] = attack.at("strategies");
  }
  return run;
}

std::optional<bool> misidentified(const Coordinates&, const NamedRow& row) {
  if (row.has("rank") && row.word("rank") == "0") return std::nullopt;
  return row.word("correct") == "0";
}

std::vector<RowAnswers> read_groups(const fs::path& folder, const Judgement& is_error) {
  ByCoordinates<RowAnswers> groups;
  if (fs::exists(folder / "rows.csv"))
    read_named(folder / "rows.csv", [&](const NamedRow& row) { groups.of(row).left_out = row.number("left_out"); });
  read_named(folder / "trials.csv", [&](const NamedRow& row) {
    RowAnswers& group = groups.of(row);
    const auto& person = row.word("protected");
    if (row.has("rank") && row.word("rank") == "0") group.not_enrolled.insert(person);
    const auto error = is_error(group, row);
    if (!error) return;
    const auto [count, is_new] = group.own.try_emplace(person);
    if (is_new) group.people.push_back(person);
    ++count->second.n;
    count->second.errors += *error;
  });
  read_named(folder / "others.csv", [&](const NamedRow& row) {
    groups.of(row).others[row.word("protected")] = {row.number("n"), row.number("errors")};
  });
  return by_seed(std::move(groups.list));
}

std::vector<Measured> read_measured(const fs::path& file, const std::string& table, const Number& number,
                                    const Number& n) {
  if (!fs::exists(file))
    throw Error(Exit::usage, concat(file.string(), " does not exist: this run's config does not list the table \"",
                                    table, "\"; add it to \"tables\" and run the config again"));
  ByCoordinates<Measured> rows;
  std::map<std::string, std::size_t> things;
  read_named(file, [&](const NamedRow& row) {
    Measured& measured = rows.of(row);  // the row exists even if its number is unknown
    const double value = number(row);
    if (std::isnan(value)) return;
    const auto thing = things.emplace(row.has("id") ? row.word("id") : "", things.size()).first->second;
    measured.of[row.word("protected")].push_back({thing, value, n(row)});
  });
  return by_seed(std::move(rows.list));
}

double Measured::n() const {
  double sum = 0;
  for (const auto& [person, numbers] : of)
    for (const auto& number : numbers) sum += number.n;
  return sum;
}

std::vector<double> Measured::means() const {
  std::vector<double> all;
  for (const auto& [person, numbers] : of) {
    std::vector<double> values;
    for (const auto& number : numbers) values.push_back(number.value);
    all.push_back(mean(values));
  }
  return all;
}

std::vector<Cell> key_cells(const Coordinates& coordinates, const RunFolder& run) {
  const auto &extractor = coordinates.value("extractor"), &attack = coordinates.value("attack");
  std::vector<Cell> cells;
  for (const auto& name : key_columns) {
    if (name == "released")
      cells.emplace_back(run.released.at(extractor));
    else if (name == "strategy")
      cells.emplace_back(run.strategies.count(attack) ? run.strategies.at(attack).at(extractor) : "");
    else
      cells.emplace_back(coordinates.value(name));
  }
  return cells;
}

void append(std::vector<Cell>& cells, std::vector<Cell> more) {
  cells.insert(cells.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

std::vector<Cell> people_and_mean(const std::vector<double>& rates, double n) {
  const auto interval = protection_interval(rates, n);
  return {static_cast<std::int64_t>(rates.size()), static_cast<std::int64_t>(n), mean(rates), interval.low,
          interval.high};
}

std::vector<Cell> rate_of(const RowAnswers& group, bool share_of_rest) {
  std::vector<double> rates;
  double n = 0;
  for (const auto& person : group.people) {
    const auto& count = group.own.at(person);
    rates.push_back(share_of_rest ? 1 - count.rate() : count.rate());
    n += count.n;
  }
  return people_and_mean(rates, n);
}

std::vector<Cell> mean_of(const Measured& measured) { return people_and_mean(measured.means(), measured.n()); }

}  // namespace facepoison
