// Tables: written ones read back, and no cell can break a format.
#include "facepoison/table.hpp"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "support/support.hpp"

namespace facepoison {
namespace {

using namespace testing;

Table one_row(std::vector<Cell> cells) {
  Table table;
  for (std::size_t i = 0; i < cells.size(); ++i) table.columns.push_back(concat("c", i));
  table.add(std::move(cells));
  return table;
}

TEST(Csv, RoundTripsAnyText) {
  Table table{{"plain", "a,b", "say \"hi\""}, {}, {}};
  table.add({"", "two\nlines", "carriage\r\nreturn"});
  table.add({"\"", ",", "\"\"a\",\n\""});
  table.add({"é", " spaces ", "last"});
  const Table read = parse_csv(print(table, Format::csv), "t.csv");
  EXPECT_EQ(read.columns, table.columns);
  EXPECT_EQ(read.rows, table.rows);
}

TEST(Csv, ComesInPartsOfAnyLength) {
  const std::string csv = "a,\"b\"\"c\"\r\n1,\"two\nlines, \"\"quoted\"\"\"\n\n,\n";
  const Table whole = parse_csv(csv, "x");
  EXPECT_EQ(whole.columns, (std::vector<std::string>{"a", "b\"c"}));
  ASSERT_EQ(whole.rows.size(), 2u);
  EXPECT_EQ(text(whole.rows[0][1]), "two\nlines, \"quoted\"");
  for (std::size_t length = 1; length < csv.size(); ++length) {
    std::vector<std::vector<Cell>> rows;
    CsvReader reader("x", [&](const auto&, std::vector<Cell> row) { rows.push_back(std::move(row)); });
    for (std::size_t at = 0; at < csv.size(); at += length) reader.feed(std::string_view(csv).substr(at, length));
    EXPECT_EQ(reader.finish(), whole.columns);
    EXPECT_EQ(rows, whole.rows) << "in parts of " << length;
  }
}

TEST(Csv, RoundTripsEveryDigit) {
  for (const double value : {0.1, 1.0 / 3, 1e300, 5e-324, -0.0, 123456789.123}) {
    const Table read = parse_csv(print(one_row({value}), Format::csv), "t.csv");
    EXPECT_EQ(as_number(read.rows.at(0).at(0), "t.csv"), value);
  }
}

TEST(Csv, ReadsOtherProgramsLineEnds) {
  const Table table = parse_csv("a,b\r\n1,2\r\n\r\n3,", "t.csv");
  EXPECT_EQ(table.columns, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(table.rows, (std::vector<std::vector<Cell>>{{"1", "2"}, {"3", ""}}));
}

TEST(Csv, ReadsAfterAByteOrderMark) {
  for (const std::string header : {"id,b", "\"id\",b"}) {
    const std::string csv = "\xef\xbb\xbf" + header + "\r\n1,2\r\n";
    for (std::size_t length = 1; length <= csv.size(); ++length) {
      CsvReader reader("t.csv", [](const auto&, std::vector<Cell> row) { EXPECT_EQ(row[0], Cell("1")); });
      for (std::size_t at = 0; at < csv.size(); at += length) reader.feed(std::string_view(csv).substr(at, length));
      EXPECT_EQ(reader.finish(), (std::vector<std::string>{"id", "b"})) << "in parts of " << length;
    }
  }
}

TEST(Csv, NamesTheLineOfAnUnevenRow) {
  const auto [code, message] = caught([] { parse_csv("a,b\n1,2\n\n1,2,3\n", "t.csv"); });
  EXPECT_EQ(code, Exit::input);
  EXPECT_TRUE(contains(message, "t.csv, line 4")) << message;
  EXPECT_TRUE(contains(caught([] { parse_csv("a,b\n1\n", "t.csv"); }).message, "line 2"));
}

TEST(Csv, CountsTheLinesWithinACell) {
  const auto message = caught([] { parse_csv("a,b\n\"two\nlines\",2\n1\n", "t.csv"); }).message;
  EXPECT_TRUE(contains(message, "line 4")) << message;
}

TEST(Csv, RefusesAnOpenQuoteAndAnEmptyFile) {
  EXPECT_EQ(caught([] { parse_csv("a\n\"open\n", "t.csv"); }).code, Exit::input);
  EXPECT_EQ(caught([] { parse_csv("", "t.csv"); }).code, Exit::input);
  EXPECT_EQ(caught([] { read_csv("/nowhere/t.csv"); }).code, Exit::input);
}

TEST(Column, IsFoundByNameOrNamed) {
  const Table table = parse_csv("a,b\n1,2\n", "t.csv");
  EXPECT_EQ(column(table, "b", "t.csv"), 1u);
  const auto [code, message] = caught([&] { column(table, "c", "t.csv"); });
  EXPECT_EQ(code, Exit::input);
  EXPECT_TRUE(contains(message, "t.csv") && contains(message, "\"c\"")) << message;
}

TEST(Cells, PrintTheShortestFormThatReadsBack) {
  EXPECT_EQ(text(0.1), "0.1");
  EXPECT_EQ(text(0.1 + 0.2), "0.30000000000000004");
  EXPECT_EQ(text(2.0), "2");
  EXPECT_EQ(text(std::int64_t{-9007199254740993}), "-9007199254740993");
  EXPECT_EQ(text("as it is"), "as it is");
}

TEST(Cells, AnUnknownNumberHasOneSpelling) {
  for (const double number :
       {unknown, -unknown, std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ(print(one_row({1.5, number, "x"}), Format::csv), "c0,c1,c2\n1.5,,x\n");
    EXPECT_TRUE(contains(print(one_row({number}), Format::json), "\"c0\": null"));
    EXPECT_TRUE(contains(print(one_row({number}), Format::markdown), "| –   |"));
  }
  EXPECT_TRUE(std::isnan(number_of("", "t")));
  EXPECT_EQ(number_of("2.5", "t"), 2.5);
}

TEST(Cells, AreNumbersOrSaySo) {
  EXPECT_EQ(as_number("1e3", "t"), 1000);
  EXPECT_EQ(as_number(std::int64_t{7}, "t"), 7);
  for (const char* word : {"", "x", "1 ", "1,5", "0x10"}) {
    const auto [code, message] = caught([&] { as_number(word, "t.csv, line 3"); });
    EXPECT_EQ(code, Exit::input) << word;
    EXPECT_TRUE(contains(message, "t.csv, line 3")) << message;
  }
}

TEST(Cells, AreWholeNumbersThatFitOrSaySo) {
  EXPECT_EQ(as_integer("-9223372036854775808", "t"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(as_integer(std::int64_t{7}, "t"), 7);
  for (const char* word : {"", "x", "1.5", "1e3", "nan", "9223372036854775808"}) {
    const auto [code, message] = caught([&] { as_integer(word, "t.csv, line 3"); });
    EXPECT_EQ(code, Exit::input) << word;
    EXPECT_TRUE(contains(message, "t.csv, line 3")) << message;
  }
}

std::string markdown_cell(const std::string& in) {
  const auto out = print(one_row({in}), Format::markdown);
  auto last = out.substr(out.rfind("\n| ") + 3);
  last.resize(last.rfind(" |"));
  last.resize(last.find_last_not_of(' ') + 1);
  return last;
}

TEST(Markdown, EscapesItsMarksAndKeepsRowsOnALine) {
  for (const auto& [in, expected] :
       std::vector<std::pair<std::string, std::string>>{{"__init__", "\\_\\_init\\_\\_"},
                                                        {"*em*", "\\*em\\*"},
                                                        {"~~s~~", "\\~\\~s\\~\\~"},
                                                        {"`code`", "\\`code\\`"},
                                                        {"a[b](c)", "a[b\\](c)"},
                                                        {"![a][b]", "![a\\][b]"},
                                                        {"&lt;", "\\&lt;"},
                                                        {"<script>", "\\<script>"},
                                                        {"a|b", "a\\|b"},
                                                        {"a\\|b", "a\\\\\\|b"},
                                                        {"C:\\", "C:\\\\"},
                                                        {"two\nlines\rmore", "two lines more"},
                                                        {"_a b_", "\\_a b\\_"}})
    EXPECT_EQ(markdown_cell(in), expected) << in;
  const auto out = print(one_row({"two\nlines", "a\r\nb"}), Format::markdown);
  EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 3);
}

TEST(Markdown, LeavesWhatIsNoMarkAsItIs) {
  for (const auto* in : {"others_error", "1.00 [0.51, 1.00]", "-0.5", "1e-05", "k-nearest, k 3", "[1] Ann", "José #2"})
    EXPECT_EQ(markdown_cell(in), in);
  EXPECT_EQ(markdown_cell("1.00 [0.51, 1.00]*"), "1.00 [0.51, 1.00]\\*");
}

TEST(Markdown, RoundsAndKeepsNotes) {
  Table table = one_row({2.0 / 3, std::numeric_limits<double>::quiet_NaN(), std::int64_t{5}});
  table.notes = {"a | note"};
  const auto out = print(table, Format::markdown);
  EXPECT_TRUE(contains(out, "| 0.667 | ")) << out;
  EXPECT_TRUE(contains(out, "| 5 ")) << out;
  EXPECT_FALSE(contains(out, "nan")) << out;
  EXPECT_TRUE(contains(out, "\n- a \\| note\n")) << out;
}

TEST(Latex, EscapesWhatTexReserves) {
  Table table = one_row({"a&b_c%d#e", "$x^2$ {y} ~\\", 0.12345});
  table.notes = {"50 % of\nit"};
  const auto out = print(table, Format::latex);
  EXPECT_TRUE(contains(
      out,
      "a\\&b\\_c\\%d\\#e & \\$x\\textasciicircum{}2\\$ \\{y\\} \\textasciitilde{}\\textbackslash{} & 0.123 \\\\\n"))
      << out;
  EXPECT_TRUE(contains(out, "% 50 % of it\n")) << out;
}

const std::vector<std::string> names_that_tex_reads = {"[1] Ann",      "*star", "  [x]",   "<a> | b",   "a\rb",
                                                       "José & Söhne", "{[y]}", "#1 50 %", "\\\\[2em]", "plain"};

TEST(Latex, NoNameIsReadAsTheOptionOfALineBreak) {
  EXPECT_TRUE(contains(print(one_row({"[1] Ann", "x"}), Format::latex), "\\midrule\n{}[1] Ann & x \\\\\n"));
  EXPECT_TRUE(contains(print(one_row({"*star", "[y]"}), Format::latex), "\\midrule\n{}*star & {}[y] \\\\\n"));
  EXPECT_TRUE(contains(print(one_row({" [x]"}), Format::latex), "\\midrule\n{} [x] \\\\\n"));
}

// TeX Live's pdflatex and the package booktabs (Debian: texlive-latex-recommended).
TEST(Latex, Compiles) {
  if (std::system("command -v pdflatex >/dev/null && kpsewhich booktabs.sty >/dev/null") != 0)
    GTEST_SKIP() << "no pdflatex with booktabs here (Debian: texlive-latex-recommended)";
  Table table{{"[name]", "*", "value"}, {}, {"a % note\nof two lines"}};
  for (const auto& name : names_that_tex_reads) table.add({name, name, 0.5});
  const TempFolder folder;
  write_file(folder / "t.tex", concat("\\documentclass{article}\n\\usepackage{booktabs}\n", "\\begin{document}\n",
                                      print(table, Format::latex), "\\end{document}\n"));
  const auto command = concat("cd '", folder.path.string(), "' && pdflatex -draftmode -halt-on-error t.tex >said");
  EXPECT_EQ(std::system(command.c_str()), 0) << read_file(folder / "said");
}

TEST(JsonTable, GivesEveryDigitAndNullForNoNumber) {
  Table table = one_row({0.1, std::numeric_limits<double>::quiet_NaN(), -std::numeric_limits<double>::infinity(),
                         std::int64_t{3}, "t\"x"});
  table.notes = {"n"};
  const auto json = nlohmann::json::parse(print(table, Format::json));
  const auto& row = json.at("rows").at(0);
  EXPECT_EQ(row.at("c0").get<double>(), 0.1);
  EXPECT_TRUE(row.at("c1").is_null());
  EXPECT_TRUE(row.at("c2").is_null());
  EXPECT_EQ(row.at("c3"), 3);
  EXPECT_EQ(row.at("c4"), "t\"x");
  EXPECT_EQ(json.at("notes").at(0), "n");
}

TEST(JsonTable, IsWholeForTextThatIsNotUtf8) {
  EXPECT_TRUE(nlohmann::json::accept(print(one_row({"caf\xe9"}), Format::json)));
}

TEST(Formats, AreKnownByName) {
  EXPECT_EQ(parse_format("markdown"), Format::markdown);
  EXPECT_EQ(parse_format("csv"), Format::csv);
  EXPECT_EQ(parse_format("json"), Format::json);
  EXPECT_EQ(parse_format("latex"), Format::latex);
  for (const char* name : {"", "CSV", "html"}) EXPECT_EQ(caught([&] { parse_format(name); }).code, Exit::usage) << name;
}

}  // namespace
}  // namespace facepoison
