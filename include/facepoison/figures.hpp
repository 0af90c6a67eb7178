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
  std::string alt;    // its text for somebody who cannot see it
  Json spec;          // a Vega-Lite 6 specification with its data; text has the colour "currentColor"
};

// The figures of a table: those of its registry row that its columns ask for, and for "protection" what training did
// to recognisers that `config` (config.resolved.json) says were trained from others of the table. None for a table
// without rows. `table` may be one that was read from a file.
std::vector<Figure> figures_of(const TableRow& row, const Table& table, const Json& config);

}  // namespace facepoison
