#include "facepoison/expect.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <sstream>
#include <string_view>

#include "facepoison/error.hpp"
#include "facepoison/report.hpp"
#include "facepoison/spec.hpp"
#include "facepoison/unicode.hpp"
#include "report/run_folder.hpp"

namespace facepoison {
namespace {

// The table's columns that identify a row.
std::vector<std::string> all_keys() {
  auto keys = key_columns;
  keys.emplace_back("surrogate");
  return keys;
}

// Its other columns, which are numbers.
std::vector<std::string> results() {
  auto columns = table_columns(false);
  const auto keys = all_keys();
  std::erase_if(columns, [&](const auto& name) { return std::find(keys.begin(), keys.end(), name) != keys.end(); });
  return columns;
}

[[noreturn]] void refuse(const std::string& text, const std::string& why) {
  throw Error(Exit::usage, concat("expectation \"", text, "\": ", why));
}

void require_known(const std::string& name, const std::vector<std::string>& known, const std::string& text,
                   const std::string& what) {
  if (std::find(known.begin(), known.end(), name) == known.end())
    refuse(text, concat("found \"", name, "\", expected ", what, ": ", listed(known)));
}

// Reads key=value,key=value; a value may hold commas ("k-nearest, k 3"): a part without a key belongs to the value
// before it.
std::vector<std::pair<std::string, std::string>> parse_where(const std::string& inside, const std::string& text) {
  std::vector<std::pair<std::string, std::string>> where;
  std::istringstream pieces(inside);
  for (std::string piece; std::getline(pieces, piece, ',');) {
    const auto equals = piece.find('=');
    if (equals == std::string::npos) {
      if (where.empty()) refuse(text, "expected key=value between the brackets");
      where.back().second += "," + piece;
      continue;
    }
    const auto start = piece.find_first_not_of(' ');
    where.emplace_back(piece.substr(start, equals - start), piece.substr(equals + 1));
    require_known(where.back().first, all_keys(), text, "a column that is known before the run");
  }
  return where;
}

constexpr std::pair<std::string_view, Relation> relations[] = {{"<=", Relation::at_most}, {">=", Relation::at_least},
                                                               {"==", Relation::equal},   {"!=", Relation::not_equal},
                                                               {"<", Relation::less},     {">", Relation::greater}};

bool holds(double found, Relation relation, double number) {
  switch (relation) {
    case Relation::at_most:
      return found <= number;
    case Relation::at_least:
      return found >= number;
    case Relation::less:
      return found < number;
    case Relation::greater:
      return found > number;
    case Relation::equal:
      return found == number;
    default:
      return found != number;
  }
}

// The index where a comment begins, a # at the line's start or after a blank and outside the brackets; else npos.
std::size_t start_of_comment(const std::string& line) {
  bool is_inside = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '[') is_inside = true;
    if (line[i] == ']') is_inside = false;
    if (line[i] == '#' && !is_inside && (i == 0 || line[i - 1] == ' ' || line[i - 1] == '\t')) return i;
  }
  return std::string::npos;
}

bool is_meant(const Expectation& expectation, const Table& table, const std::vector<Cell>& row) {
  return std::all_of(expectation.where.begin(), expectation.where.end(), [&](const auto& pair) {
    return decomposed(text(row[column(table, pair.first, "the table")])) == decomposed(pair.second);
  });
}

}  // namespace

Expectation parse_expectation(const std::string& given) {
  const auto fail = [&] { refuse(given, "expected COLUMN[key=value,…] OP NUMBER, OP one of <= >= < > == !="); };
  std::string_view rest = given;
  const auto skip_blanks = [&] { rest.remove_prefix(std::min(rest.find_first_not_of(" \t\r"), rest.size())); };
  const auto take = [&](std::size_t length) {
    const std::string taken(rest.substr(0, length));
    rest.remove_prefix(taken.size());
    skip_blanks();
    return taken;
  };
  Expectation out{.text = given};
  skip_blanks();
  out.column = take(std::min(rest.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), rest.size()));
  std::string inside;
  if (rest.starts_with("[")) {
    const auto end = rest.find(']');
    if (end == rest.npos) fail();
    inside = take(end + 1).substr(1, end - 1);
  }
  const auto op = std::find_if(std::begin(relations), std::end(relations),
                               [&](const auto& one) { return rest.starts_with(one.first); });
  if (op == std::end(relations)) fail();
  take(op->first.size());
  out.relation = op->second;
  if (rest.starts_with("+") && !rest.starts_with("+-")) rest.remove_prefix(1);
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), out.number);
  take(static_cast<std::size_t>(end - rest.data()));
  if (out.column.empty() || error != std::errc() || !std::isfinite(out.number) || !rest.empty()) fail();
  require_known(out.column, results(), given, "a numeric column");
  out.where = parse_where(inside, given);
  return out;
}

std::vector<Expectation> read_expectations(const fs::path& file) {
  std::vector<Expectation> out;
  std::istringstream lines(std::string(without_mark(read_file(file))));
  std::size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    line.resize(std::min(line.size(), start_of_comment(line)));
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    try {
      out.push_back(parse_expectation(line));
    } catch (const Error& error) {
      throw Error(Exit::usage, concat(file.string(), ", line ", number, ": ", error.what()));
    }
  }
  if (out.empty()) throw Error(Exit::usage, concat(file.string(), ": found no expectation, expected at least one"));
  return out;
}

void require_planned(const std::vector<Expectation>& expectations, const Table& plan) {
  for (const auto& expectation : expectations)
    if (std::none_of(plan.rows.begin(), plan.rows.end(),
                     [&](const auto& row) { return is_meant(expectation, plan, row); }))
      refuse(expectation.text, "it matches no row of the planned table; --dry-run prints the rows");
}

std::vector<std::string> unmet(const std::vector<Expectation>& expectations, const Table& table) {
  std::vector<std::string> lines;
  for (const auto& expectation : expectations)
    for (const auto& row : table.rows) {
      if (!is_meant(expectation, table, row)) continue;
      const auto& found = row[column(table, expectation.column, "the table")];
      const bool known = !text(found).empty();  // an unknown value meets no expectation
      if (known && holds(as_number(found, "the table"), expectation.relation, expectation.number)) continue;
      const auto word = [&](const char* name) { return text(row[column(table, name, "the table")]); };
      lines.push_back(concat("expected ", expectation.text, "; ",
                             known ? "found " + text(found) : "found no known value", " for ", word("extractor"), ", ",
                             word("attack"), ", ", word("classifier")));
    }
  return lines;
}

}  // namespace facepoison
