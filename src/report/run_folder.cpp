#include "report/run_folder.hpp"

#include <algorithm>

#include "facepoison/error.hpp"
#include "facepoison/stats.hpp"

namespace facepoison {
namespace {

// Rows of a file in the order of their places.
template <class Row>
class ByPlace {
 public:
  Row& of(const NamedRow& row) {
    Row one;
    for (const auto& [name, neutral] : coordinates) one.at.push_back(row.has(name) ? row.word(name) : neutral);
    const auto [place, is_new] = places_.emplace(one.at, list.size());
    if (is_new) list.push_back(std::move(one));
    return list[place->second];
  }
  std::vector<Row> list;

 private:
  std::map<std::vector<std::string>, std::size_t> places_;
};

// The same people's counts of several seeds. A probe that is judged under two of them is still one probe.
void add_seed(std::map<std::string, Count>& all, const std::map<std::string, Count>& one,
              std::map<std::string, double>& seeds) {
  for (const auto& [person, count] : one) {
    auto& sum = all[person];
    const double before = seeds[person]++;
    sum.errors = (sum.errors * before + count.errors) / seeds[person];
    sum.n = count.n;
  }
}

// Of groups that differ in the seed: each person's rate is the mean over the seeds that drew that person.
Group together(const std::vector<Group>& groups) {
  Group all;
  std::map<std::string, double> own, others;
  for (const auto& group : groups) {
    add_seed(all.own, group.own, own);
    add_seed(all.others, group.others, others);
    all.left_out += group.left_out;
    all.not_enrolled.insert(group.not_enrolled.begin(), group.not_enrolled.end());
  }
  for (const auto& [person, count] : all.own) all.people.push_back(person);
  return all;
}

Measured together(const std::vector<Measured>& some) {
  Measured all;
  for (const auto& one : some) {
    for (const auto& [person, numbers] : one.of)
      all.of[person].insert(all.of[person].end(), numbers.begin(), numbers.end());
    all.n = one.n;  // as for probes: what is measured under two seeds is still one
  }
  return all;
}

// Those that differ only in the seed next to each other, with all of them together after.
template <class Row>
std::vector<Row> by_seed(std::vector<Row> rows) {
  std::vector<std::vector<Row>> cells;
  std::map<std::vector<std::string>, std::size_t> places;
  for (auto& row : rows) {
    auto at = row.at;
    at[coordinate("seed")] = "";
    const auto [place, is_new] = places.emplace(std::move(at), cells.size());
    if (is_new) cells.emplace_back();
    cells[place->second].push_back(std::move(row));
  }
  std::vector<Row> ordered;
  for (const auto& cell : cells) {
    ordered.insert(ordered.end(), cell.begin(), cell.end());
    if (cell.size() == 1) continue;
    ordered.push_back(together(cell));
    ordered.back().at = cell.front().at;
    ordered.back().at[coordinate("seed")] = "all";
  }
  return ordered;
}

}  // namespace

std::size_t coordinate(const std::string& name) {
  const auto found =
      std::find_if(coordinates.begin(), coordinates.end(), [&](const auto& c) { return c.name == name; });
  return static_cast<std::size_t>(found - coordinates.begin());
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
      throw Error(Exit::input, concat(folder.string(), " holds no finished run: no ", name));
  const Json config = read_json(folder / "config.resolved.json"), facts = read_json(folder / "run.json");
  RunFolder run{read_groups(folder), {}, {}, {}, facts.at("notes").get<std::vector<std::string>>()};
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

std::optional<bool> misidentified(const Place&, const NamedRow& row) {
  if (row.has("rank") && row.word("rank") == "0") return std::nullopt;
  return row.word("correct") == "0";
}

std::vector<Group> read_groups(const fs::path& folder, const Judgement& is_error) {
  ByPlace<Group> groups;
  if (fs::exists(folder / "rows.csv"))
    read_named(folder / "rows.csv", [&](const NamedRow& row) { groups.of(row).left_out = row.number("left_out"); });
  read_named(folder / "trials.csv", [&](const NamedRow& row) {
    Group& group = groups.of(row);
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
    throw Error(Exit::usage, concat(file.string(), " is not there: this run was not asked for the table \"", table,
                                    "\"; put it among its config's \"tables\" and run it again"));
  ByPlace<Measured> places;
  read_named(file, [&](const NamedRow& row) {
    Measured& measured = places.of(row);
    measured.of[row.word("protected")].push_back(number(row));
    measured.n += n(row);
  });
  return by_seed(std::move(places.list));
}

const std::vector<std::string> place_columns = {"extractor",    "released",     "strategy", "attack",   "transform",
                                                "transform_on", "clean_photos", "enrolled", "together", "probes",
                                                "filter",       "classifier",   "seed"};

std::vector<Cell> place_of(const Place& place, const RunFolder& run) {
  const auto &extractor = place.value("extractor"), &attack = place.value("attack");
  std::vector<Cell> cells;
  for (const auto& name : place_columns) {
    if (name == "released")
      cells.emplace_back(run.released.at(extractor));
    else if (name == "strategy")
      cells.emplace_back(run.strategies.count(attack) ? run.strategies.at(attack).at(extractor) : "");
    else
      cells.emplace_back(place.value(name));
  }
  return cells;
}

void append(std::vector<Cell>& cells, std::vector<Cell> more) {
  cells.insert(cells.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

namespace {

std::vector<Cell> people_and_mean(const std::vector<double>& rates, double n) {
  const auto people = static_cast<std::int64_t>(rates.size()), probes = static_cast<std::int64_t>(n);
  if (rates.empty()) return {people, probes, Cell(""), Cell(""), Cell("")};  // not known where nobody is left
  const auto interval = protection_interval(rates, n);
  return {people, probes, mean(rates), interval.low, interval.high};
}

}  // namespace

std::vector<Cell> rate_of(const Group& group, bool share_of_rest) {
  std::vector<double> rates;
  double n = 0;
  for (const auto& person : group.people) {
    const auto& count = group.own.at(person);
    rates.push_back(share_of_rest ? 1 - count.rate() : count.rate());
    n += count.n;
  }
  return people_and_mean(rates, n);
}

std::vector<Cell> mean_of(const Measured& measured) {
  std::vector<double> means;
  for (const auto& [person, numbers] : measured.of) means.push_back(mean(numbers));
  return people_and_mean(means, measured.n);
}

}  // namespace facepoison
