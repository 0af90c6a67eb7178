// The smoke experiment: from the pictures that ship to a table, with the recognisers that ship, against a golden table.
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

TEST(E2eSmoke, GivesTheGoldenTableAndThenFindsItAllInTheStore) {
  const TempFolder folder;
  const std::string command =
      concat("eval --config '", FACEPOISON_ROOT,
             "/configs/experiments/smoke.json' --set device=cpu --store store --format csv --expect-file '",
             FACEPOISON_ROOT, "/configs/experiments/smoke.expect' --run-dir run");
  const auto run = run_binary(command, folder.path);
  ASSERT_EQ(run.code, 0) << run.err;
  const Table found = parse_csv(run.out, "stdout"),
              golden = read_csv(fs::path(FACEPOISON_ROOT) / "tests/golden/smoke.csv");
  ASSERT_EQ(found.columns, golden.columns);
  ASSERT_EQ(found.rows.size(), golden.rows.size());
  for (std::size_t r = 0; r < golden.rows.size(); ++r) {
    const bool clean = text(golden.rows[r][2]) == "none";
    for (std::size_t c = 0; c < golden.columns.size(); ++c) {
      const auto& name = golden.columns[c];
      const std::string where = concat("row ", r + 1, ", ", name);
      if (!clean && (name == "low" || name == "high")) continue;  // they follow from the protection
      if (!clean && (name == "protection" || name == "others_error"))
        EXPECT_NEAR(as_number(found.rows[r][c], where), as_number(golden.rows[r][c], where), 0.1) << where;
      else
        EXPECT_EQ(text(found.rows[r][c]), text(golden.rows[r][c])) << where;
    }
  }
  const auto again = run_binary(command + "2", folder.path);
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(again.out, run.out);
  EXPECT_TRUE(contains(again.err, " 0 made)")) << again.err;
}

}  // namespace
}  // namespace facepoison::testing
