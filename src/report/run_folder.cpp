#include "report/run_folder.hpp"

#include <algorithm>

#include "facepoison/error.hpp"

namespace facepoison {
namespace {

class Groups {
 public:
  Group& of(const NamedRow& row) {
    std::vector<std::string> at;
    for (const auto& [name, neutral] : coordinates) at.push_back(row.has(name) ? row.word(name) : neutral);
    const auto [place, is_new] = places_.emplace(at, list.size());
    if (is_new) list.push_back({std::move(at), {}, {}, {}, 0});
    return list[place->second];
  }
  std::vector<Group> list;

 private:
  std::map<std::vector<std::string>, std::size_t> places_;
};

std::vector<Group> read_groups(const fs::path& folder) {
  Groups groups;
  if (fs::exists(folder / "rows.csv"))
    read_named(folder / "rows.csv", [&](const NamedRow& row) { groups.of(row).left_out = row.number("left_out"); });
  read_named(folder / "trials.csv", [&](const NamedRow& row) {
    Group& group = groups.of(row);
    const auto& person = row.word("protected");
    const auto [count, is_new] = group.own.try_emplace(person);
    if (is_new) group.people.push_back(person);
    ++count->second.n;
    count->second.errors += row.word("correct") == "0";
  });
  read_named(folder / "others.csv", [&](const NamedRow& row) {
    groups.of(row).others[row.word("protected")] = {row.number("n"), row.number("errors")};
  });
  return std::move(groups.list);
}

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
Group of_all_seeds(const std::vector<Group>& groups) {
  Group all{groups.front().at, {}, {}, {}, 0};
  all.at[coordinate("seed")] = "all";
  std::map<std::string, double> own, others;
  for (const auto& group : groups) {
    add_seed(all.own, group.own, own);
    add_seed(all.others, group.others, others);
    all.left_out += group.left_out;
  }
  for (const auto& [person, count] : all.own) all.people.push_back(person);
  return all;
}

// Those that differ only in the seed next to each other, with all of them together after.
std::vector<Group> by_seed(std::vector<Group> groups) {
  std::vector<std::vector<Group>> cells;
  std::map<std::vector<std::string>, std::size_t> places;
  for (auto& group : groups) {
    auto at = group.at;
    at[coordinate("seed")] = "";
    const auto [place, is_new] = places.emplace(std::move(at), cells.size());
    if (is_new) cells.emplace_back();
    cells[place->second].push_back(std::move(group));
  }
  std::vector<Group> ordered;
  for (const auto& cell : cells) {
    ordered.insert(ordered.end(), cell.begin(), cell.end());
    if (cell.size() > 1) ordered.push_back(of_all_seeds(cell));
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
  RunFolder run{by_seed(read_groups(folder)), {}, {}, {}, facts.at("notes").get<std::vector<std::string>>()};
  for (const auto& extractor : config.at("extractors")) run.released[extractor.at("name")] = extractor.at("released");
  for (const auto& attack : config.at("attacks")) {
    if (!attack.contains("attacked"))
      throw Error(Exit::input, concat(folder.string(), " was written by an older facepoison; run its config again"));
    run.attacked[attack.at("name")] = attack.at("attacked").get<std::set<std::string>>();
    if (attack.contains("strategies")) run.strategies[attack.at("name")] = attack.at("strategies");
  }
  return run;
}

}  // namespace facepoison
