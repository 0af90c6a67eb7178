#include "report/columns.hpp"

#include <algorithm>

#include "facepoison/text.hpp"
#include "report/run_folder.hpp"

namespace facepoison {

bool has(const Words& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string in_words(const Words& words) {
  if (words.size() < 2) return words.empty() ? "" : words.front();
  return concat(listed({words.begin(), words.end() - 1}), " and ", words.back());
}

std::string Columns::word(const std::vector<Cell>& row, const std::string& name) const {
  return has(name) ? text(row[column(table_, name, "the table")]) : "";
}

double Columns::number(const std::vector<Cell>& row, const std::string& name) const {
  return has(name) ? number_of(row[column(table_, name, "the table")], "the table") : unknown;
}

Words Columns::values(const std::string& name) const {
  Words all;
  for (const auto& row : table_.rows)
    if (auto value = word(row, name); !facepoison::has(all, value)) all.push_back(std::move(value));
  return all;
}

namespace {

std::string stays_at(const Columns& columns, const std::string& name, const std::string& neutral) {
  auto values = columns.values(name);
  if (name == "seed" && has(values, "all")) return "all";
  if (neutral.empty()) std::erase(values, "");  // of rows in which the axis has no effect
  return has(values, neutral) || values.empty() ? neutral : values.front();
}

// The values at which the columns that are not free stay.
std::vector<std::pair<std::string, std::string>> fixed_values(const Columns& columns, const Words& free) {
  std::vector<std::pair<std::string, std::string>> fixed;
  for (const auto& [name, neutral] : coordinate_columns)
    if (columns.has(name) && !has(free, name)) fixed.emplace_back(name, stays_at(columns, name, neutral));
  return fixed;
}

}  // namespace

std::vector<const std::vector<Cell>*> rows_that_stay(const Table& table, const Words& free) {
  const Columns columns(table);
  const auto fixed = fixed_values(columns, free);
  Words may_be_empty;
  for (const auto& [name, neutral] : coordinate_columns)
    if (neutral.empty()) may_be_empty.push_back(name);
  std::vector<const std::vector<Cell>*> rows;
  for (const auto& row : table.rows) {
    const bool stays = std::all_of(fixed.begin(), fixed.end(), [&](const auto& one) {
      const auto value = columns.word(row, one.first);
      return value == one.second || (value.empty() && has(may_be_empty, one.first));
    });
    if (stays) rows.push_back(&row);
  }
  return rows;
}

std::string where_it_stays(const Table& table, const Words& free) {
  const Columns columns(table);
  const auto rows = rows_that_stay(table, free);
  Words parts;
  for (const auto& [name, value] : fixed_values(columns, free)) {
    const auto is_there = [&, &name = name, &value = value](const auto* row) {
      return !value.empty() && columns.word(*row, name) == value;
    };
    const bool is_usual = value == coordinate_columns[coordinate_index(name)].neutral || name == "seed";
    if (columns.varies(name) && !is_usual && std::any_of(rows.begin(), rows.end(), is_there))
      parts.push_back(concat(name, " ", value));
  }
  return listed(parts);
}

std::string with_decimals(double number, int decimals) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%.*f", decimals, number);
  const std::string zero = concat("-0.", std::string(static_cast<std::size_t>(decimals), '0'));
  return digits == zero ? zero.substr(1) : digits;
}

}  // namespace facepoison
