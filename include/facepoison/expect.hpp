// Gates: conditions on a run's table, for regression runs.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "facepoison/table.hpp"

namespace facepoison {

enum class Relation { at_most, at_least, less, greater, equal, not_equal };

// A condition on rows of table.csv, COLUMN[key=value,…] OP NUMBER: COLUMN is a numeric column of table.csv; keys are
// the columns that are known before a run (extractor, released, strategy, the axes, classifier, surrogate); without
// keys it applies to every row. OP is one of <= >= < > == !=.
struct Expectation {
  std::string text, column;  // text: as it was given
  std::vector<std::pair<std::string, std::string>> where;
  Relation relation = Relation::equal;
  double number = 0;
};
// Reads one. Throws Error(usage) that says what is wrong with it.
Expectation parse_expectation(const std::string& text);
// Reads a file of them, one per line; skips empty lines and lines that start with #. Throws Error(usage) with the line.
std::vector<Expectation> read_expectations(const fs::path& file);

// Throws Error(usage) for an expectation that matches no row of `plan`, a table with those columns.
void require_planned(const std::vector<Expectation>& expectations, const Table& plan);
// Describes the rows that break an expectation, one line each: what was expected, where, what was found. Empty: all
// hold.
std::vector<std::string> unmet(const std::vector<Expectation>& expectations, const Table& table);

}  // namespace facepoison
