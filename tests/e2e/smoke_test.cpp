// The smoke experiments: from the pictures that ship to tables, with the recognisers that ship, against golden tables.
#include <cmath>
#include <set>

#include "facepoison/report.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

class E2eSmoke : public ::testing::TestWithParam<std::string> {};

// Trains what the config names besides what ships, into trained/.
std::string train_first(const fs::path& folder) {
  std::string extractors = R"("small-arcface")";
  for (const std::string name : {"smoke-plain", "smoke-robust"}) {
    const auto run = run_binary(concat("train --config '", FACEPOISON_ROOT, "/configs/training/", name,
                                       ".json' --device cpu --store store -o trained"),
                                folder);
    EXPECT_EQ(run.code, 0) << run.err;
    extractors += concat(R"(,"trained/)", name, R"(.json")");
  }
  return concat("--set 'extractors=[", extractors, "]' ");
}

double protection_under_pgd(const Table& table, const std::string& extractor) {
  for (const auto& row : table.rows)
    if (named(table, row, "extractor") == extractor && named(table, row, "attack") == "pgd-16")
      return std::stod(named(table, row, "protection"));
  return std::nan("");  // compares with nothing
}

// What of a row is counted or measured: under an attack it depends on the machine's last digits.
const std::set<std::string> measured_columns = {
    "protection",    "others_error", "share",     "tau",   "threshold",     "value", "moved",
    "nearest_other", "beyond",       "wrong",     "names", "concentration", "most",  "most_share",
    "as_protected",  "recall",       "precision", "auc",   "false_alarms"};
const std::set<std::string> follows_columns = {"low", "high", "most", "precision_at_1_percent"};  // from the others

void expect_golden(const Table& found, const std::string& golden_name) {
  const Table golden = read_csv(fs::path(FACEPOISON_ROOT) / "tests/golden" / (golden_name + ".csv"));
  ASSERT_EQ(found.columns, golden.columns);
  ASSERT_EQ(found.rows.size(), golden.rows.size());
  for (std::size_t r = 0; r < golden.rows.size(); ++r) {
    const auto is = [&](const std::string& name) {
      const auto place = std::find(golden.columns.begin(), golden.columns.end(), name);
      return place == golden.columns.end() ? "" : text(golden.rows[r][place - golden.columns.begin()]);
    };
    const bool trained = is("extractor").starts_with("smoke-") || is("classifier").starts_with("end-to-end");
    // What is trained rounds on each machine.
    const bool clean = named(golden, golden.rows[r], "attack") == "none" && !trained;
    for (std::size_t c = 0; c < golden.columns.size(); ++c) {
      const auto& name = golden.columns[c];
      const std::string where = concat(golden_name, ", row ", r + 1, ", ", name), expected = text(golden.rows[r][c]);
      if (!clean && follows_columns.count(name)) continue;
      if ((measured_columns.count(name) && expected.find_first_not_of("0123456789.e-") == std::string::npos) &&
          !expected.empty() && (!clean || expected.find('.') != std::string::npos)) {
        const double value = as_number(golden.rows[r][c], where);
        EXPECT_NEAR(as_number(found.rows[r][c], where), value,
                    clean ? 1e-5 : (trained ? 0.2 : 0.1) * std::max(1.0, std::abs(value)))
            << where;
      } else {
        EXPECT_EQ(text(found.rows[r][c]), expected) << where;
      }
    }
  }
}

TEST_P(E2eSmoke, GivesTheGoldenTableAndThenFindsItAllInTheStore) {
  const TempFolder folder;
  const fs::path expectations = fs::path(FACEPOISON_ROOT) / "configs/experiments" / (GetParam() + ".expect");
  const std::string command =
      concat("eval --config '", FACEPOISON_ROOT, "/configs/experiments/", GetParam(),
             ".json' --set device=cpu --store store --format csv ",
             GetParam() == "smoke-adaptive" ? train_first(folder.path) : "",
             fs::exists(expectations) ? concat("--expect-file '", expectations.string(), "' ") : "", "--run-dir run");
  const auto run = run_binary(command, folder.path);
  ASSERT_EQ(run.code, 0) << run.err;
  const Table found = parse_csv(run.out, "stdout");
  expect_golden(found, GetParam());
  for (const auto& row : table_registry())
    if (const auto file = folder / "run" / (row.name + ".csv"); fs::exists(file))
      expect_golden(read_csv(file), GetParam() + "." + row.name);
  if (GetParam() == "smoke-adaptive") {
    EXPECT_LT(protection_under_pgd(found, "smoke-robust"), protection_under_pgd(found, "smoke-plain"));
  }
  const auto again = run_binary(command + "2", folder.path);
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(again.out, run.out);
  EXPECT_TRUE(contains(again.err, " 0 made)")) << again.err;
}

INSTANTIATE_TEST_SUITE_P(Configs, E2eSmoke,
                         ::testing::Values("smoke", "smoke-leak", "smoke-switching", "smoke-survival", "smoke-adaptive",
                                           "smoke-tables", "smoke-detection", "smoke-end-to-end"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace facepoison::testing
