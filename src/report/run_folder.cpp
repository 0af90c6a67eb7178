#include "report/run_folder.hpp"

#include "facepoison/error.hpp"

namespace facepoison {
namespace {

std::vector<Group> read_groups(const fs::path& folder) {
  std::vector<Group> groups;
  std::map<std::string, std::size_t> places;
  const auto group_of = [&](const Reader& in, const std::vector<Cell>& row) -> Group& {
    const auto extractor = in.word(row, "extractor"), attack = in.word(row, "attack"),
               classifier = in.word(row, "classifier");
    const auto [place, is_new] = places.emplace(extractor + "\n" + attack + "\n" + classifier, groups.size());
    if (is_new) groups.push_back({extractor, attack, classifier});
    return groups[place->second];
  };
  const Reader trials(folder / "trials.csv"), others(folder / "others.csv");
  for (const auto& row : trials.table.rows) {
    Group& group = group_of(trials, row);
    const auto person = trials.word(row, "protected");
    const auto [count, is_new] = group.own.try_emplace(person);
    if (is_new) group.people.push_back(person);
    ++count->second.n;
    count->second.errors += trials.word(row, "correct") == "0";
  }
  for (const auto& row : others.table.rows)
    group_of(others, row).others[others.word(row, "protected")] = {others.number(row, "n"),
                                                                   others.number(row, "errors")};
  return groups;
}

}  // namespace

Reader::Reader(const fs::path& path) : table(read_csv(path)), where(path.string()) {
  for (std::size_t i = 0; i < table.columns.size(); ++i) columns[table.columns[i]] = i;
}

const Cell& Reader::cell(const std::vector<Cell>& row, const std::string& name) const {
  const auto found = columns.find(name);
  return row[found != columns.end() ? found->second : column(table, name, where)];
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
