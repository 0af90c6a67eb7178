// Tables of a run folder, from its files alone. All functions may be called from several threads. Rates and shares are
// in [0, 1]; a number that is unknown is NaN, an empty cell.
#pragma once
#include "facepoison/table.hpp"

namespace facepoison {

// A row for each extractor, combination of the axes and classifier, and one for all seeds if there are several: its
// keys (extractor, released, strategy, the axes, classifier, seed; see coordinates.hpp), people, n (their probes),
// protection (mean over protected people of their error, a fraction), low, high (95 %), others_error (of everybody
// else's probes, all swaps together), others_n, surrogate (does the attack optimise against this extractor?), left_out
// (protected people who have too few photos for it), not_enrolled. by_person: a row for each protected person, with
// `protected` in the place of `people` and the interval of Clopper and Pearson. Throws Error(input) if the folder has
// no complete run.
std::vector<std::string> table_columns(bool by_person);
Table table_of_run(const fs::path& folder, bool by_person);

// A kind of figure of a table. If rows also differ in other columns than the named ones, only those with the neutral
// (else the first) value are drawn.
struct FigureRow {
  std::string name;  // after the table's: "" for its first figure
  enum class Kind {
    dots,   // value with its interval from left to right, a line for each `along`
    curve,  // value over `along`, at equal distances
    log,    // value over `along`, positive numbers on a logarithmic axis
    cells   // a grid of `along` and `colour`, in each cell the value
  } kind;
  std::string along;
  std::string panel;   // the column with a panel for each value; "": one panel
  std::string colour;  // the column shown by colour and shape; "": none
  std::string title, look;
  bool needs_variety = false;  // only if `along` has several values
  std::string value;           // "": the column that is measured, with its interval
  std::string where, equals;   // only rows with this word in this column; "": all
};

// A table: a function of the run folder. A new one is one .cpp in report/tables and one row of its registry. Throws as
// table_of_run, and Error(usage) if the run's config did not request it (key "tables").
struct TableRow {
  std::string name, help;
  Table (*make)(const fs::path& folder);
  std::string measured;  // the column with the interval low, high; "" for a table that is not printed as a matrix
  std::vector<FigureRow> figures;
};
const std::vector<TableRow>& table_registry();
const TableRow& table_row(const std::string& name);  // throws Error(usage)

// The table without columns of axes, and of counts beside them, that have only one value.
Table for_reading(Table table);

// The places of a table's columns in a matrix.
struct Layout {
  std::vector<std::string> rows;  // none: the recogniser's columns, and each axis on which the rows differ
  std::string across = "attack";
  std::string value;  // "": `measured`
};

// A table as a matrix of texts: "0.90 [0.74, 0.97]", with low and high, if the value is `measured`; * if the row is of
// a surrogate, ? if a difference is of too few people for a verdict; unknown values stay unknown. A cell without a row
// is empty. The first notes explain the cells and the other columns of the rows. Throws Error(usage) for a column that
// the table does not have, and for two rows for one cell.
Table matrix(const Table& table, const std::string& measured, Layout layout = {});

// Reads a table that was written as CSV, with its numbers. Throws Error(input) for a cell that should be a number and
// is not.
Table read_table(const fs::path& csv);

// Keeps the rows that have, in each named column, one of its named values. Throws Error(usage) for a column or value
// that does not exist.
Table rows_where(Table table, const std::vector<std::pair<std::string, std::string>>& wanted);

// Compares the protection of each row with that of the row that differs only in the coordinate `key`, with `value`
// there (and, for a transform, in what it is on): the coordinates, people (in both rows), protection, against (of the
// other row), difference, low, high (95 %), p, reading (of the difference; see paired.hpp). The numbers of a row
// without people are unknown. Throws Error(usage) if there is no such row, Error(input) if all rows are without people,
// else as table_of_run.
// `attack`: only rows of this attack; "": all.
Table differences_of_run(const fs::path& folder, const std::string& key, const std::string& value,
                         const std::string& attack = "");

// Sentences about a table "protection", for the rows in which only recogniser and attack vary: results on clean photos;
// results of each attack in `optimising` (attacks with surrogates, which need not be rows); the effect of noise. One
// sentence if nobody is protected. `differences`: of the same run, against attack "none"; may be empty.
std::vector<std::string> sentences_on(const Table& protection, const std::vector<std::string>& optimising,
                                      const Table& differences);

// Compares the runs A and B row by row: the coordinates, a, b (protection in either), difference (a − b), low, high (95
// %), p, people, verdict ("A higher", "B higher", "includes 0" or "too few people"). Rows are joined on all their
// coordinates, and each covers the people whom both runs protect there with the same probes, by name. The notes say
// what was left out and what else differs. Throws Error(input) if nothing is left, else as table_of_run.
// `with_release`: with A's "released" after the extractor, for reading.
Table compare_runs(const fs::path& a, const fs::path& b, bool with_release = false);

// Our stand-ins for published recognisers and attacks: published name → ours.
using StandIns = std::vector<std::pair<std::string, std::string>>;

// Puts the published figures in the JSON file `figures` (data/paper.json) beside a run's rows with the recogniser,
// attack and other coordinates that the figure states, the rest neutral: the coordinates except the seed, setting
// (baseline, oblivious, adaptive), published, ours, low, high (95 %, of ours), people, difference (ours − published),
// verdict ("within our interval", "ours higher", "ours lower"), tag (how sure the figure is), source, says. Then come
// the figures without such a row, with published values only and the verdict "no counterpart in this run". The notes
// name figures of other measures, and what differs. A row of a stand-in is a counterpart too, and says so. Throws as
// table_of_run, and Error(usage) for an invalid file of figures, a stand-in that no figure states, or one that the run
// lacks.
Table compare_to_paper(const fs::path& run, const fs::path& figures, const StandIns& stand_ins = {});

}  // namespace facepoison
