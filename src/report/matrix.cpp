// A table as a matrix for reading: one row per recogniser, one column per attack.
#include <algorithm>
#include <cmath>

#include "facepoison/coordinates.hpp"
#include "facepoison/error.hpp"
#include "facepoison/report.hpp"
#include "facepoison/spec.hpp"
#include "facepoison/unicode.hpp"
#include "report/columns.hpp"
#include "report/paired.hpp"

namespace facepoison {
namespace {

// The columns of any table that identify a row. The first five identify the recogniser and its run.
const Words known_keys = [] {
  Words all = {"run", "extractor", "combine", "detector", "released"};
  for (const auto& axis : axis_columns)
    if (axis.name != "attack" && axis.name != "seed") all.emplace_back(axis.name);
  all.insert(all.end(),
             {"attack", "classifier", "seed", "measure", "mode", "first", "round", "far", "share", "protected"});
  return all;
}();
// Other columns of words.
const Words words = {"strategy", "surrogate", "most", "trained_on", "reading",
                     "verdict",  "setting",   "tag",  "source",     "says"};
// The columns that are summarised under a matrix, over all its rows; the last two only if they are not 0.
const Words said = {"people", "n", "photos", "others_error", "left_out", "not_enrolled"};

// A cell of `value` with its interval: "0.90 [0.74, 0.97]*".
Cell with_interval(const Columns& columns, const std::vector<Cell>& row, const std::string& value) {
  const double number = columns.number(row, value), low = columns.number(row, "low"),
               high = columns.number(row, "high");
  if (std::isnan(number)) return unknown;
  const bool few = columns.word(row, "reading") == too_few_people || columns.word(row, "verdict") == too_few_people;
  const auto interval = std::isnan(low) ? "" : concat(" [", with_decimals(low, 2), ", ", with_decimals(high, 2), "]");
  return concat(with_decimals(number, 2), interval, few ? "?" : "", columns.word(row, "surrogate") == "yes" ? "*" : "");
}

// A cell of another column, which has no interval; a whole number if the column has only whole numbers.
Cell alone(const Columns& columns, const std::vector<Cell>& row, const std::string& value) {
  const auto values = columns.values(value);
  const bool is_whole = std::all_of(values.begin(), values.end(),
                                    [](const auto& word) { return word.find_first_of(".e") == std::string::npos; });
  const double number = columns.number(row, value);
  return std::isnan(number) ? Cell(unknown) : is_whole ? Cell(columns.word(row, value)) : with_decimals(number, 3);
}

// The columns that name the matrix's rows: those of the recogniser, and the keys in which rows differ.
Words rows_of(const Columns& columns, const Table& table, const std::string& measured, const std::string& across) {
  Words rows;
  for (const auto& name : table.columns) {
    const auto index = std::find(known_keys.begin(), known_keys.end(), name) - known_keys.begin();
    const bool is_key = name != measured && name != across && index < static_cast<std::ptrdiff_t>(known_keys.size());
    if (is_key && (index < 5 || columns.values(name).size() > 1)) rows.push_back(name);
  }
  return rows;
}

// The range of a column's numbers, "n 40 to 48", or "" if no row has one. Rows of nobody are left out: their cells show
// it.
std::string range(const Columns& columns, const Table& table, const std::string& name) {
  std::vector<double> numbers;
  for (const auto& row : table.rows) {
    const double number = columns.number(row, name);
    const bool is_nobody = columns.number(row, "people") == 0 && name != "left_out" && name != "not_enrolled";
    if (!std::isnan(number) && !is_nobody) numbers.push_back(number);
  }
  if (numbers.empty()) return "";
  const auto [least, most] = std::minmax_element(numbers.begin(), numbers.end());
  const auto shown = [](double number) {
    return number == std::floor(number) ? text(static_cast<std::int64_t>(number)) : with_decimals(number, 3);
  };
  if (*most == 0 && (name == "left_out" || name == "not_enrolled")) return "";
  return concat(name, " ", shown(*least), *least == *most ? "" : " to " + shown(*most));
}

std::string neutral_of(const std::string& name) {
  const auto index = coordinate_index(name);
  return index < coordinate_columns.size() ? coordinate_columns[index].neutral : "";
}

// A sentence on what the rows have in common, and on what their other numbers are.
std::string summary(const Columns& columns, const Table& table, const Layout& layout, const std::string& value) {
  Words parts;
  for (const auto& name : said)
    if (auto part = range(columns, table, name); name != value && columns.has(name) && !part.empty())
      parts.push_back(std::move(part));
  for (const auto& name : known_keys) {
    if (!columns.has(name) || name == "released" || name == value || name == layout.across || has(layout.rows, name))
      continue;
    const auto values = columns.values(name);
    if (values.size() == 1 && !values.front().empty() && values.front() != neutral_of(name))
      parts.push_back(concat(name, " ", values.front()));
  }
  return listed(parts);
}

std::string legend(const std::string& value, bool has_interval, const Table& cells) {
  const auto is_marked = [&](char mark) {
    return std::any_of(cells.rows.begin(), cells.rows.end(), [&](const auto& row) {
      return std::any_of(row.begin(), row.end(), [&](const Cell& cell) { return text(cell).ends_with(mark); });
    });
  };
  std::string out = concat(value, has_interval ? " [95 % interval]" : "");
  if (has_interval && is_marked('*')) out += "; * the attack optimises against this recogniser";
  if (has_interval && is_marked('?')) out += concat("; ? ", too_few_people, " to say which is higher");
  return out;
}

void require_columns(const Columns& columns, const Words& names) {
  for (const auto& name : names)
    if (!columns.has(name)) throw Error(Exit::usage, concat("the table has no column ", name));
}

}  // namespace

Table matrix(const Table& table, const std::string& measured, Layout layout) {
  const Columns columns(table);
  const auto& value = layout.value.empty() ? measured : layout.value;
  require_columns(columns, {layout.across, value});
  if (layout.rows.empty()) layout.rows = rows_of(columns, table, measured, layout.across);
  require_columns(columns, layout.rows);
  Table out{layout.rows, {}, {}};
  const auto across = columns.values(layout.across);
  out.columns.insert(out.columns.end(), across.begin(), across.end());
  std::map<Words, std::size_t> lines;
  std::set<std::pair<std::size_t, std::size_t>> filled;
  for (const auto& row : table.rows) {
    Words keys;
    for (const auto& name : layout.rows) keys.push_back(columns.word(row, name));
    const auto line = lines.emplace(keys, out.rows.size()).first->second;
    if (line == out.rows.size()) {
      out.rows.emplace_back(keys.begin(), keys.end());
      out.rows.back().resize(out.columns.size());
    }
    const auto beyond = static_cast<std::size_t>(
        std::find(across.begin(), across.end(), columns.word(row, layout.across)) - across.begin());
    if (!filled.insert({line, beyond}).second)
      throw Error(Exit::usage, concat("found two rows for the cell ", listed(keys), ", ", across[beyond],
                                      ": choose one with --where, or add a column in which they differ to --rows"));
    out.rows[line][layout.rows.size() + beyond] =
        value == measured ? with_interval(columns, row, value) : alone(columns, row, value);
  }
  out.notes = {legend(value, value == measured, out)};
  if (const auto words = summary(columns, table, layout, value); !words.empty()) out.notes.push_back(words);
  out.notes.insert(out.notes.end(), table.notes.begin(), table.notes.end());
  return out;
}

Table read_table(const fs::path& csv) {
  Table table = read_csv(csv);
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    if (has(known_keys, table.columns[c]) || has(words, table.columns[c])) continue;
    for (auto& row : table.rows) {
      const double number = number_of(row[c], csv.string());
      const bool is_whole = text(row[c]).find_first_not_of("-0123456789") == std::string::npos && !std::isnan(number);
      row[c] = is_whole ? Cell(as_integer(row[c], csv.string())) : Cell(number);
    }
  }
  return table;
}

Table rows_where(Table table, const std::vector<std::pair<std::string, std::string>>& wanted) {
  std::map<std::string, std::set<std::string>> values;
  for (const auto& [name, value] : wanted) {
    require_columns(Columns(table), {name});
    const auto there = Columns(table).values(name);
    const auto found = std::find_if(there.begin(), there.end(), [&, value = value](const auto& one) {
      return decomposed(one) == decomposed(value);
    });
    if (found == there.end())
      throw Error(Exit::usage,
                  concat("--where ", name, "=", value, ": no row has this value; there are ", listed(there, 8)));
    values[name].insert(*found);
  }
  std::erase_if(table.rows, [&](const auto& row) {
    return std::any_of(values.begin(), values.end(), [&](const auto& one) {
      return !one.second.count(text(row[column(table, one.first, "the table")]));
    });
  });
  return table;
}

}  // namespace facepoison
