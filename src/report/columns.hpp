// Finds a table's cells by the names of columns.
#pragma once
#include "facepoison/table.hpp"

namespace facepoison {

using Words = std::vector<std::string>;
bool has(const Words& names, const std::string& name);
std::string in_words(const Words& words);  // "a, b and c"

// Views a table, which must outlive it.
class Columns {
 public:
  explicit Columns(const Table& table) : table_(table) {}
  bool has(const std::string& name) const { return facepoison::has(table_.columns, name); }
  std::string word(const std::vector<Cell>& row, const std::string& name) const;  // "" without the column
  double number(const std::vector<Cell>& row, const std::string& name) const;     // NaN without the column
  Words values(const std::string& name) const;                                    // in the order of the rows
  bool varies(const std::string& name) const { return values(name).size() > 1; }

 private:
  const Table& table_;
};

// The rows with default coordinates in all columns but `free`: the neutral value if a row has it, else the first one;
// of several seeds, all of them together.
std::vector<const std::vector<Cell>*> rows_that_stay(const Table& table, const Words& free);

// The values of those columns that have several, where they are not neutral: "budget 2, classifier nearest"; or "".
std::string where_it_stays(const Table& table, const Words& free);

// The number with this many decimals, and no minus before a zero.
std::string with_decimals(double number, int decimals);

}  // namespace facepoison
