#include "report/run_folder.hpp"

#include <algorithm>

#include "facepoison/error.hpp"

namespace facepoison {
namespace {

std::vector<Group> read_groups(const fs::path& folder) {
  std::vector<Group> groups;
  std::map<std::vector<std::string>, std::size_t> places;
  const auto group_of = [&](const NamedRow& row) -> Group& {
    std::vector<std::string> at;
    for (const auto& coordinate : coordinates) at.push_back(row.word(coordinate));
    const auto [place, is_new] = places.emplace(at, groups.size());
    if (is_new) groups.push_back({std::move(at), {}, {}, {}});
    return groups[place->second];
  };
  read_named(folder / "trials.csv", [&](const NamedRow& row) {
    Group& group = group_of(row);
    const auto& person = row.word("protected");
    const auto [count, is_new] = group.own.try_emplace(person);
    if (is_new) group.people.push_back(person);
    ++count->second.n;
    count->second.errors += row.word("correct") == "0";
  });
  read_named(folder / "others.csv", [&](const NamedRow& row) {
    group_of(row).others[row.word("protected")] = {row.number("n"), row.number("errors")};
  });
  return groups;
}

}  // namespace

const std::string& Group::value(const std::string& coordinate) const {
  return at.at(
      static_cast<std::size_t>(std::find(coordinates.begin(), coordinates.end(), coordinate) - coordinates.begin()));
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
  RunFolder run{read_groups(folder), {}, {}, facts.at("notes").get<std::vector<std::string>>()};
  for (const auto& extractor : config.at("extractors")) run.released[extractor.at("name")] = extractor.at("released");
  for (const auto& attack : config.at("attacks")) {
    if (!attack.contains("attacked"))
      throw Error(Exit::input, concat(folder.string(), " was written by an older facepoison; run its config again"));
    run.attacked[attack.at("name")] = attack.at("attacked").get<std::set<std::string>>();
  }
  return run;
}

}  // namespace facepoison
