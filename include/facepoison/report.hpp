// Tables of a run folder, from its files alone. All functions may be called from several threads. Rates and shares are
// in [0, 1]; a number that is unknown is NaN, an empty cell.
#pragma once
#include "facepoison/table.hpp"

namespace facepoison {

// A row for each extractor, combination of the axes and classifier, and seeds together where there are several: its
// keys (extractor, released, strategy, the axes, classifier, seed; see coordinates.hpp), people, n (their probes),
// protection (mean over protected people of their error, a fraction), low, high (95 %), others_error (of everybody
// else's probes, all swaps together), others_n, surrogate (does the attack optimise against this extractor?), left_out
// (protected people who have too few photos for it), not_enrolled. by_person: a row for each protected person, with
// `protected` in the place of `people` and the interval of Clopper and Pearson. Throws Error(input) when the folder
// holds no whole run.
std::vector<std::string> table_columns(bool by_person);
Table table_of_run(const fs::path& folder, bool by_person);

// A kind of figure of a table. Rows that differ in another column than the named ones are not drawn, but for those with
// its neutral (else its first) value.
struct FigureRow {
  std::string name;  // after the table's: "" for its first figure
  enum class Kind {
    dots,   // value with its interval from left to right, a line for each `along`
    curve,  // value over `along`, whose values have equal distances
    log,    // value over `along`, positive numbers on a logarithmic axis
    cells   // a grid of `along` and `colour`, in each cell the value
  } kind;
  std::string along;
  std::string panel;   // the column whose values have a panel each; "": one panel
  std::string colour;  // the column whose values differ in colour and shape; "": none
  std::string title, look;
  bool needs_variety = false;  // only where `along` has several values
  std::string value;           // "": the column that is measured, with its interval
};

// A table: a function of the run folder. A new one is one .cpp in report/tables and one row of its registry. Throws
// as table_of_run, and Error(usage) where the run was not asked for what it needs (the config's "tables").
struct TableRow {
  std::string name, help;
  Table (*make)(const fs::path& folder);
  std::string measured;  // the column that low and high are of; "" for a table that is not printed as a matrix
  std::vector<FigureRow> figures;
};
const std::vector<TableRow>& table_registry();
const TableRow& table_row(const std::string& name);  // throws Error(usage)

// The table without the columns of axes, and of counts beside them, that have one value only.
Table for_reading(Table table);

// Says which columns of a table stand where in a matrix.
struct Layout {
  std::vector<std::string> rows;  // none: what names the recogniser, and each axis on which the rows differ
  std::string across = "attack";
  std::string value;  // "": `measured`
};

// A table as a matrix of texts: "0.90 [0.74, 0.97]", with low and high, where the value is `measured`; * where the row
// is of a surrogate, ? where a difference is of too few people to be a verdict; unknown where the value is. Where no
// row is, the cell is empty. The first notes say what the cells are, and what else the rows say. Throws Error(usage)
// for a column that the table has not, and for two rows for one cell.
Table matrix(const Table& table, const std::string& measured, Layout layout = {});

// Reads a table that was written as CSV; numbers are numbers again. Throws Error(input) for a cell that should be a
// number and is not.
Table read_table(const fs::path& csv);

// Keeps the rows that have one of the values named for each column that is named. Throws Error(usage) for a value or a
// column that there is not.
Table rows_where(Table table, const std::vector<std::pair<std::string, std::string>>& wanted);

// How much protection each row has more than the row that differs only in the coordinate `key`, which is `value` there
// (and, for a transform, in what it is on): the coordinates, people (whom both rows have), protection, against (the
// other's), difference, low, high (95 %), p, reading (of the difference; see paired.hpp). The numbers of a row without
// people are unknown. Throws Error(usage) where there is no such row, Error(input) where all rows are without people,
// else as table_of_run.
// `attack`: of this attack's rows alone; "": of all.
Table differences_of_run(const fs::path& folder, const std::string& key, const std::string& value,
                         const std::string& attack = "");

// Sentences that say what a table "protection" says, of the rows in which nothing but recogniser and attack varies:
// what recognisers know of clean photos; how each attack does that is `optimising` (has surrogates, whether or not
// those are rows); what noise does. One sentence where nobody is protected. `differences`: of the same run, against
// attack "none"; perhaps empty.
std::vector<std::string> sentences_on(const Table& protection, const std::vector<std::string>& optimising,
                                      const Table& differences);

// What the runs A and B differ by, row by row: the coordinates, a, b (protection in either), difference (a − b), low,
// high (95 %), p, people, verdict ("A higher", "B higher", "includes 0" or "too few people"). Rows are joined on all
// their coordinates, and each is over the people whom both runs protect there and of whom both have the same probes, by
// name. The notes say what was left out and what else differs. Throws Error(input) where nothing is left, else as
// table_of_run. `with_release`: with A's "released" after the extractor, for reading.
Table compare_runs(const fs::path& a, const fs::path& b, bool with_release = false);

// Says what of ours stands in for something published: name of a recogniser or an attack there → ours.
using StandIns = std::vector<std::pair<std::string, std::string>>;

// The published figures in the JSON file `figures` (data/paper.json) beside a run's rows of the same recogniser, attack
// and other coordinates that the figure states, the others being neutral: the coordinates but for the seed, setting
// (baseline, oblivious, adaptive), published, ours, low, high (95 %, of ours), people, difference (ours − published),
// verdict ("within our interval", "ours higher", "ours lower"), tag (how sure the figure is), source, says. After these
// the figures without such a row, empty but for what was published, with the verdict "no counterpart in this run". The
// notes name figures of other measures, and what differs. A row of a stand-in is a counterpart too, and says so. Throws
// as table_of_run, and Error(usage) for a wrong file of figures, a stand-in for what no figure states, or one that the
// run has not.
Table compare_to_paper(const fs::path& run, const fs::path& figures, const StandIns& stand_ins = {});

}  // namespace facepoison
