// Figures of tables, as Vega-Lite specifications; the program draws nothing itself.
#pragma once
#include "facepoison/json.hpp"
#include "facepoison/report.hpp"

namespace facepoison {

// A figure: what it shows, and how Vega-Lite draws it.
struct Figure {
  std::string name;   // unique within a run: "protection", "protection-clean_photos", "rank"
  std::string title;  // what it shows
  std::string look;   // a sentence: what to look at
  std::string alt;    // alternative text for screen readers
  Json spec;          // a Vega-Lite 6 specification with its data; text has the colour "currentColor"
};

// The figures of a table: those of its registry row that fit its columns, and for "protection" the effect of training
// on recognisers that were trained from others of the table by `config` (config.resolved.json). None for a table
// without rows. `table` may come from a file.
std::vector<Figure> figures_of(const TableRow& row, const Table& table, const Json& config);

}  // namespace facepoison
