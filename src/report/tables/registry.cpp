#include "report/tables/registry.hpp"

#include "facepoison/error.hpp"

namespace facepoison {

const std::vector<TableRow>& table_registry() {
  static const std::vector<TableRow> rows = {
      {"protection", "share of a protected person's probes that are misidentified",
       [](const fs::path& folder) { return table_of_run(folder, false); }, "protection"},
      {"rank", "share of them whose person is among the first 1, 2, 5, 10, 50", rank, "share"},
      {"open-set", "missed, or found though not enrolled, at a threshold set on others", open_set, "share"},
      {"verification", "1:1: probe against posted photos; AUC and accepted shares", verification, "value"},
      {"confusion", "whom protected people are taken for, and who is taken for them", confusion, ""},
      {"detection", "how well cloak detectors tell perturbed photos from clean ones", detection, "recall"},
      {"displacement", "how far embeddings moved, beside the nearest other person", displacement, "beyond"},
      {"threshold", "the curve of a combination with a threshold", threshold, "protection"},
  };
  return rows;
}

const TableRow& table_row(const std::string& name) {
  std::vector<std::string> known;
  for (const auto& row : table_registry()) {
    if (row.name == name) return row;
    known.push_back(row.name);
  }
  const auto near = nearest_name(name, known);
  throw Error(Exit::usage, concat("no table \"", name, "\"; ",
                                  near.empty() ? "there are " + listed(known) : "did you mean " + near + "?"));
}

Table table_with(const RunFolder& run, const std::vector<std::string>& more, const std::string& note) {
  Table table{key_columns, {}, run.notes};
  table.columns.insert(table.columns.end(), more.begin(), more.end());
  table.notes.push_back(note);
  return table;
}

}  // namespace facepoison
