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

// The columns that name a row of the tables, and what an older run folder, which has not all of them, means.
struct Coordinate {
  std::string name, neutral;
};
inline const std::vector<Coordinate> coordinates = {
    {"extractor", ""},        {"attack", ""},      {"transform", "none"}, {"transform_on", ""}, {"clean_photos", "0"},
    {"enrolled", "replaced"}, {"together", "one"}, {"classifier", ""},    {"seed", "0"}};
std::size_t coordinate(const std::string& name);  // its place

// A row of the tables.
struct Group {
  std::vector<std::string> at;      // a value for each of the coordinates
  std::vector<std::string> people;  // protected, in the order of trials.csv
  std::map<std::string, Count> own, others;
  double left_out = 0;
  const std::string& value(const std::string& name) const { return at[coordinate(name)]; }
};

// A row of a CSV file, with cells found by name.
class NamedRow {
 public:
  NamedRow(const std::vector<std::string>& columns, std::vector<Cell> cells, const std::string& where)
      : columns_(columns), cells_(std::move(cells)), where_(where) {}
  const std::string& word(const std::string& name) const;
  bool has(const std::string& name) const;
  double number(const std::string& name) const { return as_number(word(name), where_); }

 private:
  const std::vector<std::string>& columns_;
  std::vector<Cell> cells_;
  const std::string& where_;
};
// Throws Error(input) where the file cannot be read, or lacks a column that is asked for.
void read_named(const fs::path& path, const std::function<void(const NamedRow&)>& on_row);

struct RunFolder {
  std::vector<Group> groups;  // those that differ in the seed one after the other, and then all of them together
  std::map<std::string, std::string> released;                           // of each extractor
  std::map<std::string, std::set<std::string>> attacked;                 // by attack: extractors whose weights it knew
  std::map<std::string, std::map<std::string, std::string>> strategies;  // by attack, by extractor
  std::vector<std::string> notes;                                        // facts about the data and the program
};
// Throws Error(input) when the folder holds no whole run.
RunFolder read_run(const fs::path& folder);

}  // namespace facepoison
