// A run folder's files, read for its tables.
#pragma once
#include <array>
#include <functional>
#include <map>
#include <optional>
#include <set>

#include "facepoison/spec.hpp"
#include "facepoison/table.hpp"

namespace facepoison {

// The number of judged probes, and of errors among them.
struct Count {
  double n = 0, errors = 0;
  double rate() const { return errors / n; }  // NaN where nothing was counted
};

// A column that names a row of the tables. `neutral`: its value in a run folder that is older than the column.
struct CoordinateColumn {
  std::string name, neutral;
};
// The extractor, the axes, and the classifier before the seed.
extern const std::vector<CoordinateColumn> coordinate_columns;
std::size_t coordinate_index(const std::string& name);  // coordinate_columns.size() if none has the name

// The name of a row of the tables: a value for each of coordinate_columns.
struct Coordinates {
  std::vector<std::string> values;
  const std::string& value(const std::string& name) const { return values[coordinate_index(name)]; }
};

// The answers to the trials of a row of the tables.
struct RowAnswers : Coordinates {
  std::vector<std::string> people;  // protected, in the order of trials.csv
  std::map<std::string, Count> own, others;
  double left_out = 0;                 // protected people who have no trial here
  std::set<std::string> not_enrolled;  // protected people without photos in the gallery
};

// The measurements for a row of the tables: numbers for each protected person, each about one thing (a photo, or the
// person) and over `n` photos or pairs.
struct Measured : Coordinates {
  struct Number {
    std::size_t thing = 0;
    double value = 0, n = 0;
  };
  std::map<std::string, std::vector<Number>> of;
  double n() const;                   // all together
  std::vector<double> means() const;  // each person's
};

// A row of a CSV file, with cells found by name.
class NamedRow {
 public:
  NamedRow(const std::vector<std::string>& columns, std::vector<Cell> cells, const std::string& where)
      : columns_(columns), cells_(std::move(cells)), where_(where) {}
  const std::string& word(const std::string& name) const;
  bool has(const std::string& name) const;
  double number(const std::string& name) const { return as_number(word(name), where_); }
  double number_or_unknown(const std::string& name) const { return number_of(word(name), where_); }

 private:
  const std::vector<std::string>& columns_;
  std::vector<Cell> cells_;
  const std::string& where_;
};
// Reads a CSV file row by row. Throws Error(input) if it cannot be read, or lacks a wanted column.
void read_named(const fs::path& path, const std::function<void(const NamedRow&)>& on_row);

Coordinates coordinates_of(const NamedRow& row);  // neutral where the file has no such column

struct RunFolder {
  std::vector<RowAnswers> groups;                                        // see read_groups()
  std::map<std::string, std::string> released;                           // of each extractor
  std::map<std::string, std::set<std::string>> attacked;                 // by attack: extractors whose weights it knew
  std::map<std::string, std::map<std::string, std::string>> strategies;  // by attack, by extractor
  std::vector<std::string> notes;                                        // facts about the data and the program
};
// Reads a run folder. Throws Error(input) when it holds no whole run.
RunFolder read_run(const fs::path& folder);

// Says whether a probe's row of trials.csv counts as an error; nothing if it does not count at all.
using Judgement = std::function<std::optional<bool>(const Coordinates&, const NamedRow&)>;
// The judgement of the table "protection": an error is a wrong name; probes of people who are not enrolled do not
// count.
std::optional<bool> misidentified(const Coordinates& coordinates, const NamedRow& row);

// Reads the groups in the order of their files: those that differ only in the seed one after the other, then all of
// them together.
std::vector<RowAnswers> read_groups(const fs::path& folder, const Judgement& is_error = misidentified);
// Reads another file with a number in each row for the "protected" person, or for the photo `id` if it has that column,
// over `n` things. Skips unknown numbers (NaN). Throws Error(usage) if there is no such file: `table` was not among the
// config's "tables".
using Number = std::function<double(const NamedRow&)>;
std::vector<Measured> read_measured(
    const fs::path& file, const std::string& table, const Number& number,
    const Number& n = [](const NamedRow&) { return 1; });

// The false accept rates of the table "impersonation": impersonations.csv has columns dodging_at_RATE and others.
inline constexpr std::array<const char*, 3> impersonation_rates = {"0.001", "0.01", "0.1"};

// The first columns of tables: the coordinates, with the extractor's release and strategy after it.
extern const std::vector<std::string> key_columns;
std::vector<Cell> key_cells(const Coordinates& coordinates, const RunFolder& run);  // a row's cells of these
void append(std::vector<Cell>& cells, std::vector<Cell> more);

// The cells people, n, mean, low, high, of people's rates; the numbers are unknown if there is nobody.
std::vector<Cell> people_and_mean(const std::vector<double>& rates, double n);
// The same of each person's share of errors; with `share_of_rest`: of probes without an error.
std::vector<Cell> rate_of(const RowAnswers& group, bool share_of_rest = false);
// The same of each person's mean number, from 0 to 1.
std::vector<Cell> mean_of(const Measured& measured);

}  // namespace facepoison
