// Tables for reading: which rows and columns a matrix has, and what its cells and notes say.
#include "facepoison/report.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

Table protection_table() {
  return parse_csv(
      "extractor,released,strategy,attack,transform,classifier,seed,people,n,protection,low,high,others_error,"
      "surrogate,left_out\n"
      "old,2015,,none,none,nearest,0,8,48,0.0625,0.01,0.2,0.1,no,0\n"
      "old,2015,surrogate,pgd,none,nearest,0,8,48,1,0.51,1,0.1,yes,0\n"
      "new,2021,,none,none,nearest,0,8,40,0,0,0.49,0.1,no,0\n"
      "new,2021,newer,pgd,none,nearest,0,8,40,,,,0.2,no,0\n",
      "table.csv");
}

std::vector<std::string> words_of(const std::vector<Cell>& row) {
  std::vector<std::string> all;
  for (const auto& cell : row) all.push_back(text(cell));
  return all;
}
using Words = std::vector<std::string>;

TEST(Matrix, HasARowARecogniserAndAColumnAnAttack) {
  const Table table = matrix(protection_table(), "protection");
  EXPECT_EQ(table.columns, (Words{"extractor", "released", "none", "pgd"})) << "nothing else is an axis that varies";
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_EQ(words_of(table.rows[0]), (Words{"old", "2015", "0.06 [0.01, 0.20]", "1.00 [0.51, 1.00]*"}));
  EXPECT_EQ(words_of(table.rows[1]), (Words{"new", "2021", "0.00 [0.00, 0.49]", ""}));
  EXPECT_TRUE(contains(print(table, Format::markdown), "| 0.06 [0.01, 0.20] | 1.00 [0.51, 1.00]\\* |"));
  EXPECT_TRUE(contains(print(table, Format::markdown), "| –  "));
}

TEST(Matrix, SaysWhatItsCellsAreAndWhatItsRowsHaveInCommon) {
  const auto notes = matrix(protection_table(), "protection").notes;
  ASSERT_EQ(notes.size(), 2u);
  EXPECT_EQ(notes[0], "protection [95 % interval]; * the attack optimises against this recogniser");
  EXPECT_EQ(notes[1], "people 8, n 40 to 48, others_error 0.100 to 0.200, classifier nearest");
}

TEST(Matrix, HasARowForEachValueOfAnAxisThatVaries) {
  Table table = protection_table();
  for (auto row : std::vector(table.rows)) {
    row[column(table, "transform", "t")] = "jpeg";
    table.rows.push_back(row);
  }
  const Table shown = matrix(table, "protection");
  EXPECT_EQ(shown.columns, (Words{"extractor", "released", "transform", "none", "pgd"}));
  EXPECT_EQ(shown.rows.size(), 4u);
}

TEST(Matrix, LeavesACellEmptyWhereNoRowIs) {
  Table table = protection_table();
  table.rows.erase(table.rows.begin() + 1);
  const Table shown = matrix(table, "protection");
  EXPECT_EQ(shown.rows[0][3], Cell(""));
  EXPECT_TRUE(std::holds_alternative<double>(shown.rows[1][3])) << "a row of nobody is there, and not known";
}

TEST(Matrix, CanBeTurnedAndShowAnotherColumn) {
  const Table turned = matrix(protection_table(), "protection", {{"attack"}, "extractor", ""});
  EXPECT_EQ(turned.columns, (Words{"attack", "old", "new"}));
  EXPECT_EQ(words_of(turned.rows[1]), (Words{"pgd", "1.00 [0.51, 1.00]*", ""}));
  const Table others = matrix(protection_table(), "protection", {{"extractor"}, "attack", "others_error"});
  EXPECT_EQ(words_of(others.rows[1]), (Words{"new", "0.100", "0.200"}));
  EXPECT_EQ(others.notes[0], "others_error");
  EXPECT_EQ(words_of(matrix(protection_table(), "protection", {{"extractor"}, "attack", "n"}).rows[1]),
            (Words{"new", "40", "40"}));
}

TEST(Matrix, MarksADifferenceThatIsNoVerdict) {
  const Table table = parse_csv(
      "extractor,attack,difference,low,high,verdict\nold,pgd,1,1,1,too few people\nold,noise,-.001,-1,1,includes 0\n",
      "t.csv");
  const Table shown = matrix(table, "difference");
  EXPECT_EQ(words_of(shown.rows[0]), (Words{"old", "1.00 [1.00, 1.00]?", "0.00 [-1.00, 1.00]"}));
  EXPECT_TRUE(contains(shown.notes[0], "; ? too few people")) << shown.notes[0];
}

TEST(Matrix, RefusesTwoRowsForOneCellAndColumnsThatAreNotThere) {
  Table table = protection_table();
  table.rows.push_back(table.rows.back());
  const auto [code, message] = caught([&] { matrix(table, "protection"); });
  EXPECT_EQ(code, Exit::usage);
  EXPECT_TRUE(contains(message, "two rows for the cell new, 2021, pgd")) << message;
  for (const Layout& layout : {Layout{{"extrctor"}, "attack", ""}, {{}, "atack", ""}, {{}, "attack", "errors"}})
    EXPECT_EQ(caught([&] { matrix(protection_table(), "protection", layout); }).code, Exit::usage);
}

TEST(RowsWhere, TakesAnyOfSeveralValuesOfAColumn) {
  EXPECT_EQ(rows_where(protection_table(), {{"attack", "pgd"}, {"extractor", "old"}}).rows.size(), 1u);
  EXPECT_EQ(rows_where(protection_table(), {{"extractor", "new"}, {"extractor", "old"}}).rows.size(), 4u);
  const auto [code, message] = caught([] { rows_where(protection_table(), {{"attack", "lowkey"}}); });
  EXPECT_EQ(code, Exit::usage);
  EXPECT_TRUE(contains(message, "attack=lowkey") && contains(message, "none, pgd")) << message;
  EXPECT_EQ(caught([] { rows_where(protection_table(), {{"atack", "pgd"}}); }).code, Exit::usage);
}

TEST(ReadTable, HasNumbersAgain) {
  const TempFolder folder;
  write_file(folder / "t.csv", print(protection_table(), Format::csv));
  const Table table = read_table(folder / "t.csv");
  const auto json = print(table, Format::json);
  for (const auto* part : {"\"n\": 48,", "\"protection\": 0.0625,", "\"protection\": null,", "\"seed\": \"0\"",
                           "\"released\": \"2015\"", "\"strategy\": \"\""})
    EXPECT_TRUE(contains(json, part)) << part << " in\n" << json;
  write_file(folder / "t.csv", "extractor,n\nold,many\n");
  EXPECT_EQ(caught([&] { read_table(folder / "t.csv"); }).code, Exit::input);
}

}  // namespace
}  // namespace facepoison::testing
