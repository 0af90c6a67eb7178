#include "facepoison/expect.hpp"

#include <algorithm>
#include <regex>
#include <sstream>

#include "facepoison/error.hpp"
#include "facepoison/report.hpp"
#include "facepoison/spec.hpp"
#include "report/run_folder.hpp"

namespace facepoison {
namespace {

// The table's columns that say what a row is of.
std::vector<std::string> all_keys() {
  auto keys = place_columns;
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

// key=value,key=value; a value may hold commas ("k-nearest, k 3"): what follows one and has no key of its own belongs
// to it.
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

bool holds(double found, const std::string& op, double number) {
  if (op == "<=") return found <= number;
  if (op == ">=") return found >= number;
  if (op == "<") return found < number;
  if (op == ">") return found > number;
  return op == "==" ? found == number : found != number;
}

bool is_meant(const Expectation& expectation, const Table& table, const std::vector<Cell>& row) {
  return std::all_of(expectation.where.begin(), expectation.where.end(), [&](const auto& pair) {
    return text(row[column(table, pair.first, "the table")]) == pair.second;
  });
}

}  // namespace

Expectation parse_expectation(const std::string& given) {
  static const std::regex form(R"(\s*([a-z_]+)\s*(?:\[([^\]]*)\])?\s*(<=|>=|==|!=|<|>))"
                               R"(\s*([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)\s*)");
  std::smatch parts;
  if (!std::regex_match(given, parts, form))
    refuse(given, "expected COLUMN[key=value,…] OP NUMBER, OP one of <= >= < > == !=");
  Expectation out{given, parts[1], {}, parts[3], as_number(Cell(parts[4].str()), "expectation \"" + given + "\"")};
  require_known(out.column, results(), given, "a numeric column");
  out.where = parse_where(parts[2], given);
  return out;
}

std::vector<Expectation> read_expectations(const fs::path& file) {
  std::vector<Expectation> out;
  std::istringstream lines(std::string(without_mark(read_file(file))));
  std::size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos || line.starts_with("#")) continue;
    try {
      out.push_back(parse_expectation(line));
    } catch (const Error& error) {
      throw Error(Exit::usage, concat(file.string(), ", line ", number, ": ", error.what()));
    }
  }
  return out;
}

void require_planned(const std::vector<Expectation>& expectations, const Table& plan) {
  for (const auto& expectation : expectations)
    if (std::none_of(plan.rows.begin(), plan.rows.end(),
                     [&](const auto& row) { return is_meant(expectation, plan, row); }))
      refuse(expectation.text, "no row of what would be run is meant; --dry-run prints them");
}

std::vector<std::string> unmet(const std::vector<Expectation>& expectations, const Table& table) {
  std::vector<std::string> lines;
  for (const auto& expectation : expectations)
    for (const auto& row : table.rows) {
      if (!is_meant(expectation, table, row)) continue;
      const auto& found = row[column(table, expectation.column, "the table")];
      const bool known = !text(found).empty();  // a row of nobody has no rates, and promises nothing
      if (known && holds(as_number(found, "the table"), expectation.op, expectation.number)) continue;
      const auto word = [&](const char* name) { return text(row[column(table, name, "the table")]); };
      lines.push_back(concat("expected ", expectation.text, "; found ", known ? text(found) : "nobody", " for ",
                             word("extractor"), ", ", word("attack"), ", ", word("classifier")));
    }
  return lines;
}

}  // namespace facepoison
