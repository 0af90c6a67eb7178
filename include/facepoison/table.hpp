// Rows with named columns, read from CSV and printed in several formats.
#pragma once
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <variant>
#include <vector>

#include "facepoison/files.hpp"

namespace facepoison {

// A value of a table: a text or a number. A number that is not finite is unknown: an empty cell in csv, null in json, a
// dash for reading.
using Cell = std::variant<std::string, double, std::int64_t>;
constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

// A table: every row has a cell for each column.
class Table {
 public:
  std::vector<std::string> columns;
  std::vector<std::vector<Cell>> rows;
  std::vector<std::string> notes;  // printed under a markdown or latex table, under "notes" in json; not in csv

  void add(std::vector<Cell> row);  // asserts the number of cells
};

// The column's index. Throws Error(input) naming `where` when it is absent.
std::size_t column(const Table& table, const std::string& name, const std::string& where);

// A cell as text: numbers in the shortest form that reads back to the same value; "" for an unknown one.
std::string text(const Cell& cell);
// A cell as a number. Throws Error(input) naming `where` for what is not one, "" too.
double as_number(const Cell& cell, const std::string& where);
// A cell as a whole number. Throws Error(input) if it is not one, or is too large.
std::int64_t as_integer(const Cell& cell, const std::string& where);

// A cell as a number that may be unknown: NaN for an empty cell, else as as_number().
double number_of(const Cell& cell, const std::string& where);

enum class Format { markdown, csv, json, latex };
Format parse_format(const std::string& name);  // throws Error(usage)

// The table as text. csv and json give every digit; markdown (GitHub's) and latex (with booktabs) round to three
// decimals and escape what their format reserves.
std::string print(const Table& table, Format format);

// Writes a CSV file row by row, into a file without a name, so that a kill leaves nothing. finish() gives it its name.
// For one thread at a time. Throws as write_file().
class TableFile {
 public:
  TableFile(fs::path path, std::vector<std::string> columns);
  TableFile(const TableFile&) = delete;
  ~TableFile();
  void add(std::vector<Cell> row);
  void finish();

 private:
  void flush();
  fs::path path_;
  int file_;
  Table waiting_;
};

// Parses CSV (RFC 4180) in parts of any length, header line first, perhaps after a byte-order mark; every cell is text.
// Throws Error(input) with the line of an uneven row.
class CsvReader {
 public:
  using OnRow = std::function<void(const std::vector<std::string>& columns, std::vector<Cell> row)>;
  CsvReader(std::string where, OnRow on_row);
  void feed(std::string_view text);
  std::vector<std::string> finish();  // the columns

 private:
  enum class Quote { none, open, maybe_closed };
  void end_cell();
  void end_row();
  std::string where_;
  OnRow on_row_;
  std::vector<std::string> columns_;
  std::vector<Cell> row_;
  std::string cell_;
  std::size_t line_ = 1;
  Quote quote_ = Quote::none;
  bool any_ = false;  // this line has a cell
};
// Reads a file's rows one at a time.
void read_rows(const fs::path& path, const CsvReader::OnRow& on_row);

// Reads all of a CSV text or file.
Table parse_csv(const std::string& csv, const std::string& where);
Table read_csv(const fs::path& path);

}  // namespace facepoison
