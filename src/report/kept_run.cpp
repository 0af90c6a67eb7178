#include <algorithm>

#include "facepoison/error.hpp"
#include "facepoison/page.hpp"

namespace facepoison {

KeptRun read_kept_run(const fs::path& folder) {
  for (const auto* name : {"table.csv", "config.resolved.json", "run.json"})
    if (!fs::exists(folder / name))
      throw Error(Exit::input, concat(folder.string(), " holds no finished run: it lacks ", name));
  KeptRun run{folder,
              (fs::absolute(folder) / "").parent_path().filename().string(),
              read_json(folder / "config.resolved.json"),
              read_json(folder / "run.json"),
              {},
              {}};
  for (const auto& row : table_registry()) {
    const auto file = folder / (row.name == "protection" ? "table.csv" : row.name + ".csv");
    if (fs::exists(file)) run.tables.emplace_back(&row, read_table(file));
  }
  const auto& protection = run.tables.front().second;
  const auto attack = column(protection, "attack", folder.string());
  const auto has = [&](const char* name) {
    return std::any_of(protection.rows.begin(), protection.rows.end(),
                       [&](const auto& row) { return text(row[attack]) == name; });
  };
  if (has("none") && has("noise") && fs::exists(folder / "trials.csv"))
    run.differences = differences_of_run(folder, "attack", "none", "noise");
  return run;
}

std::vector<std::string> KeptRun::sentences() const {
  std::vector<std::string> optimising;
  for (const auto& attack : config.at("attacks")) {
    const auto parts = attack.value("parts", Json::array());
    if (std::any_of(parts.begin(), parts.end(), [](const Json& part) { return !part.at("surrogates").empty(); }))
      optimising.push_back(attack.at("name"));
  }
  return sentences_on(tables.front().second, optimising, differences);
}

}  // namespace facepoison
