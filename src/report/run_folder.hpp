// A run folder's files, read for its tables.
#pragma once
#include <map>
#include <set>

#include "facepoison/spec.hpp"
#include "facepoison/table.hpp"

namespace facepoison {

struct Count {
  double n = 0, errors = 0;
  double rate() const { return n > 0 ? errors / n : 0; }
};

// One extractor, attack and classifier.
struct Group {
  std::string extractor, attack, classifier;
  std::vector<std::string> people;  // protected, in the order of trials.csv
  std::map<std::string, Count> own, others;
};

// A CSV file's rows with cells found by name.
struct Reader {
  Table table;
  std::string where;
  std::map<std::string, std::size_t> columns;

  explicit Reader(const fs::path& path);
  const Cell& cell(const std::vector<Cell>& row, const std::string& name) const;
  std::string word(const std::vector<Cell>& row, const std::string& name) const { return text(cell(row, name)); }
  double number(const std::vector<Cell>& row, const std::string& name) const {
    return as_number(cell(row, name), where);
  }
};

struct RunFolder {
  std::vector<Group> groups;                    // in the order of trials.csv
  std::map<std::string, std::string> released;  // of each extractor
  std::map<std::string, std::set<std::string>>
      attacked;                    // by attack: the run's extractors whose weights it optimises against
  std::vector<std::string> notes;  // facts about the data and the program
};
// Throws Error(input) when the folder holds no whole run.
RunFolder read_run(const fs::path& folder);

}  // namespace facepoison
