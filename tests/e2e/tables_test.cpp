// A run's requested tables, and the messages about other tables. Their numbers are checked by
// hand in tests/unit/run_tables_test.cpp, and against scikit-learn in tests/python/test_tables.py.
#include "facepoison/report.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

class E2eTables : public ::testing::Test {
 protected:
  void SetUp() override {
    prepare_drawn(folder_.path, 6, 10);
    write_tiny_extractor(folder_.path, 1, "tiny");
    write_tiny_extractor(folder_.path, 2, "other");
    write(Json::object());
  }

  // Not those of cloak detectors, which have their own tests.
  static std::vector<TableRow> tables_here() {
    auto rows = table_registry();
    std::erase_if(rows, [](const auto& row) { return row.name == "detection"; });
    return rows;
  }

  void write(const Json& changes) {
    Json config = {{"dataset", "dataset"},
                   {"protected", 2},
                   {"extractors", {"./tiny.json", "./other.json"}},
                   {"attacks", {"none", "noise"}},
                   {"enrolled", {"replaced", "absent"}},
                   {"combine",
                    {{{"name", "both"}, {"rule", "top-2"}, {"accurate", "tiny"}, {"robust", "other"}},
                     {{"name", "late"}, {"rule", "threshold"}, {"accurate", "tiny"}, {"robust", "other"}}}},
                   {"tables", Json::array()}};
    for (const auto& row : tables_here()) config["tables"].push_back(row.name);
    config.update(changes);
    write_file(folder_ / "x.json", config.dump());
  }

  Outcome eval(const std::string& more = "") {
    return run_binary("eval --config x.json --store store2 --run-dir run --format csv " + more, folder_.path);
  }

  TempFolder folder_;
};

TEST_F(E2eTables, EachIsAFunctionOfTheRunFolderAlone) {
  const auto run = eval();
  ASSERT_EQ(run.code, 0) << run.err;
  const auto again = eval();
  EXPECT_EQ(again.out, run.out);
  EXPECT_TRUE(contains(again.err, " 0 made)")) << again.err;
  // In another folder, without the tables that eval wrote and without any input of the run.
  fs::create_directory(folder_ / "elsewhere");
  fs::rename(folder_ / "run", folder_ / "elsewhere" / "run");
  std::map<std::string, std::string> written;
  for (const auto& row : tables_here()) {
    const auto file = folder_ / "elsewhere" / "run" / (row.name == "protection" ? "table.csv" : row.name + ".csv");
    written[row.name] = read_file(file);
    fs::remove(file);
  }
  for (const auto* name : {"dataset", "store2", "x.json", "tiny.json", "other.json", "tiny.pt", "other.pt"})
    ASSERT_GT(fs::remove_all(folder_ / name), 0u) << name;
  for (const auto& row : tables_here()) {
    const auto printed = run_binary("table run --format csv --of " + row.name, folder_ / "elsewhere");
    ASSERT_EQ(printed.code, 0) << printed.err;
    EXPECT_EQ(printed.out, written.at(row.name)) << row.name;
    EXPECT_FALSE(parse_csv(printed.out, row.name).rows.empty()) << row.name;
    const auto for_reading = run_binary("table run --of " + row.name, folder_ / "elsewhere");
    EXPECT_EQ(for_reading.code, 0) << for_reading.err;
  }
}

TEST_F(E2eTables, WhoIsAbsentIsNotEnrolledAndNeverCalledProtected) {
  const auto run = eval();
  ASSERT_EQ(run.code, 0) << run.err;
  const Table table = parse_csv(run.out, "stdout");
  int absent = 0;
  for (const auto& row : table.rows) {
    if (named(table, row, "enrolled") != "absent") {
      EXPECT_EQ(named(table, row, "not_enrolled"), "0");
      continue;
    }
    ++absent;
    EXPECT_EQ(named(table, row, "people"), "0");
    EXPECT_EQ(named(table, row, "protection"), "");
    EXPECT_EQ(named(table, row, "not_enrolled"), "2");
    EXPECT_EQ(named(table, row, "attack"), "none") << "who is absent posts nothing: one row is enough";
  }
  EXPECT_EQ(absent, 4) << "two extractors and two combinations";
}

TEST_F(E2eTables, TwoGuessesAreNeverWorseThanOne) {
  const auto run = eval();
  ASSERT_EQ(run.code, 0) << run.err;
  const Table table = parse_csv(run.out, "stdout");
  const auto protection = [&](const std::string& extractor) {
    for (const auto& row : table.rows)
      if (named(table, row, "extractor") == extractor && named(table, row, "attack") == "noise")
        return std::stod(named(table, row, "protection"));
    return std::nan("");
  };
  EXPECT_LE(protection("both"), std::min(protection("tiny"), protection("other")));
}

TEST_F(E2eTables, WhatIsWrongIsNamed) {
  const auto expect = [&](const Json& changes, const std::vector<std::string>& parts) {
    write(changes);
    const auto run = eval("--dry-run");
    EXPECT_EQ(run.code, 2) << changes;
    for (const auto& part : parts) EXPECT_TRUE(contains(run.err, part)) << run.err;
  };
  const auto pairing = [](const Json& changes) {
    Json one = {{"name", "both"}, {"rule", "top-2"}, {"accurate", "tiny"}, {"robust", "other"}};
    one.update(changes);
    return Json{{"combine", {one}}};
  };
  expect({{"tables", {"rnak"}}}, {"no table \"rnak\"", "did you mean rank"});
  expect({{"protected", "all"}}, {"open-set", "not protected"});
  expect(pairing({{"rule", "top-3"}}), {"rule", "top-3", "top-2"});
  expect(pairing({{"robust", "othr"}}), {"\"othr\"", "did you mean \"other\""});
  expect(pairing({{"robust", "tiny"}}), {"is also the accurate one"});
  expect(pairing({{"name", "tiny"}}), {"name of another recogniser"});
  expect(pairing({{"when_above", "never"}}), {"when_above", "\"never\"", "auto"});
  expect(pairing({{"share", 0.1}}), {"share", "no threshold"});
  expect(pairing({{"robust", 7}}), {"robust", "7"});
  expect(pairing({{"shaer", 0.1}}), {"shaer", "share"});
  expect({{"combine", Json::array()}}, {"\"threshold\"", "there is none"});
  expect({{"false_positive_rate", 2}}, {"false_positive_rate"});
}

TEST_F(E2eTables, ATableThatWasNotAskedForSaysHowToAsk) {
  write({{"tables", {"protection"}}, {"combine", Json::array()}});
  ASSERT_EQ(eval().code, 0);
  for (const auto* name : {"verification", "det", "displacement", "open-set", "growth", "linkage", "impersonation"}) {
    const auto run = run_binary(concat("table run --of ", name), folder_.path);
    EXPECT_EQ(run.code, 2) << name;
    EXPECT_TRUE(contains(run.err, name) && contains(run.err, "\"tables\"")) << run.err;
  }
  EXPECT_EQ(run_binary("table run --of rank", folder_.path).code, 0) << "the answers hold it";
  EXPECT_EQ(run_binary("table run --of threshold", folder_.path).code, 2);
  EXPECT_EQ(run_binary("table run --of rnak", folder_.path).code, 2);
}

}  // namespace
}  // namespace facepoison::testing
