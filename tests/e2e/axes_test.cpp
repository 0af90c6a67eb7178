// An experiment's axes, as a user runs them: tables of leaks, seeds, transforms and additional photos.
#include <algorithm>
#include <map>

#include <torch/script.h>

#include "support/support.hpp"

namespace facepoison::testing {
namespace {

class E2eAxes : public ::testing::Test {
 protected:
  void SetUp() override {
    prepare_drawn(folder_.path, 5, 10);
    write_tiny_extractor(folder_.path);
    const Json loud = {{"preset", "pgd"}, {"name", "loud"}, {"surrogates", {"./tiny.json"}},
                       {"epsilon", 0.4},  {"step", 0.05},   {"steps", 20}};
    write_file(
        folder_ / "x.json",
        Json{{"dataset", "dataset"}, {"protected", 3}, {"extractors", {"./tiny.json"}}, {"attacks", {"none", loud}}}
            .dump());
  }

  Outcome eval(const std::string& more) {
    return run_binary("eval --config x.json --store store2 --run-dir run --format csv " + more, folder_.path);
  }

  // The run's rows with these values in these columns.
  std::vector<std::vector<Cell>> where(const Table& table, const std::map<std::string, std::string>& values) {
    std::vector<std::vector<Cell>> found;
    for (const auto& row : table.rows)
      if (std::all_of(values.begin(), values.end(),
                      [&](const auto& v) { return named(table, row, v.first) == v.second; }))
        found.push_back(row);
    return found;
  }

  TempFolder folder_;
};

TEST_F(E2eAxes, SeedsTogetherAreMeansOfEachPersonsRates) {
  const auto run = eval("--set seeds=[0,1,2]");
  ASSERT_EQ(run.code, 0) << run.err;
  const Table table = parse_csv(run.out, "stdout"), trials = read_csv(folder_ / "run/trials.csv");
  std::map<std::string, std::map<std::string, std::pair<double, double>>> counts;  // person → seed → errors, probes
  for (const auto& row : where(trials, {{"attack", "loud"}})) {
    auto& [errors, probes] = counts[named(trials, row, "protected")][named(trials, row, "seed")];
    errors += named(trials, row, "correct") == "0";
    ++probes;
  }
  double sum = 0;
  for (const auto& [person, seeds] : counts) {
    double rates = 0;
    for (const auto& [seed, count] : seeds) rates += count.first / count.second;
    sum += rates / static_cast<double>(seeds.size());
  }
  ASSERT_GT(counts.size(), 3u) << "three draws of the same people: this shows nothing";
  ASSERT_GT(sum, 0) << "nobody was misidentified: this shows nothing";
  const auto all = where(table, {{"attack", "loud"}, {"seed", "all"}});
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(named(table, all[0], "people"), std::to_string(counts.size()));
  EXPECT_NEAR(std::stod(named(table, all[0], "protection")), sum / static_cast<double>(counts.size()), 1e-12);
  EXPECT_EQ(where(table, {{"attack", "loud"}}).size(), 4u);
}

// A cloak detector that flags every picture.
void write_alarmist(const fs::path& folder) {
  write_tiny_extractor(folder, 1, "alarmist");
  torch::jit::Module module("alarmist");
  module.register_parameter("scale", torch::ones({1}), false);
  module.define("def forward(self, x):\n  return torch.ones([x.size(0), 1]) * 9.0 * self.scale\n");
  module.save((folder / "alarmist.pt").string());
  Json card = read_json(folder / "alarmist.json");
  card["sha256"] = sha256_of_file(folder / "alarmist.pt");
  card["dimension"] = 1, card["task"] = "cloak-detector", card["threshold"] = 0.5;
  write_file(folder / "alarmist.json", card.dump());
}

TEST_F(E2eAxes, AFilterThatDropsEverybodyGivesRowsOfNobody) {
  write_alarmist(folder_.path);
  write_tiny_extractor(folder_.path, 2, "other");
  Json config = {
      {"dataset", "dataset"},
      {"protected", 2},
      {"extractors", {"./tiny.json", "./other.json"}},
      {"attacks", {"none", "noise"}},
      {"enrolled", {"replaced", "added", "absent"}},
      {"filter", {"none", "./alarmist.json"}},
      {"classifiers", {"nearest", "nearest-cosine", "centroid", "k-nearest", "linear"}},
      {"combine",
       {{{"name", "both"}, {"rule", "top-2"}, {"accurate", "tiny"}, {"robust", "other"}},
        {{"name", "late"}, {"rule", "threshold"}, {"accurate", "tiny"}, {"robust", "other"}}}},
      {"tables", {"protection", "rank", "open-set", "verification", "confusion", "displacement", "threshold"}}};
  for (const auto* table : {"growth", "linkage", "impersonation"}) config["tables"].push_back(table);
  const Json trained = {
      {"classifier", "end-to-end"}, {"name", "trained"}, {"steps", 2}, {"batch", {{"people", 2}, {"photos", 1}}}};
  for (const bool end_to_end : {false, true}) {
    if (end_to_end) config.erase("combine"), config.erase("tables"), config.erase("enrolled");
    if (end_to_end) config["classifiers"] = {trained};
    write_file(folder_ / "x.json", config.dump());
    fs::remove_all(folder_ / "run");
    const auto run = eval("");
    ASSERT_EQ(run.code, 0) << run.err;
    const Table table = parse_csv(run.out, "stdout");
    std::size_t rows = 0;
    for (const auto& row : where(table, {{"filter", "alarmist"}})) {
      ++rows;
      EXPECT_EQ(named(table, row, "people"), "0");
      EXPECT_EQ(named(table, row, "not_enrolled"), "2");
      for (const auto* unknown : {"protection", "low", "high", "others_error"})
        EXPECT_EQ(named(table, row, unknown), "") << unknown;
    }
    EXPECT_EQ(rows, end_to_end ? 2u * 2 : 4u * 5 * 5);
    const auto again = eval("");
    EXPECT_EQ(again.out, run.out);
    EXPECT_TRUE(contains(again.err, " 0 made)")) << again.err;
  }
}

TEST_F(E2eAxes, ProbesThroughTheSameAttackAreJudgedBesideCleanOnes) {
  const auto run = eval("--set 'probes=[\"clean\",\"as-posted\"]'");
  ASSERT_EQ(run.code, 0) << run.err;
  const Table table = parse_csv(run.out, "stdout");
  const auto cell = [&](const char* attack, const char* probes, const char* what) {
    return std::stod(named(table, where(table, {{"attack", attack}, {"probes", probes}}).at(0), what));
  };
  EXPECT_EQ(cell("none", "clean", "protection"), cell("none", "as-posted", "protection")) << "nothing is as nothing";
  EXPECT_NE(cell("loud", "clean", "protection"), cell("loud", "as-posted", "protection"));
  EXPECT_EQ(cell("loud", "clean", "others_error"), cell("loud", "as-posted", "others_error"));
}

TEST_F(E2eAxes, ARowOfNobodyHasNoRatesAndMeetsNoGate) {
  const auto run = eval("--set clean_photos=[0,20] --expect 'protection[clean_photos=20] >= 0'");
  EXPECT_EQ(run.code, 5) << run.err;
  EXPECT_TRUE(contains(run.err, "found no known value for")) << run.err;
  const Table table = parse_csv(run.out, "stdout");
  const auto rows = where(table, {{"clean_photos", "20"}});
  EXPECT_FALSE(rows.empty());
  for (const auto& row : rows) {
    EXPECT_EQ(named(table, row, "people"), "0");
    EXPECT_EQ(named(table, row, "protection"), "");
    EXPECT_EQ(named(table, row, "left_out"), "3");
  }
}

TEST_F(E2eAxes, ATransformIsComparedWithNoneWhateverItIsOn) {
  ASSERT_EQ(eval("--set 'transforms=[\"none\",\"grey\"]' --set 'transform_on=[\"perturbed\",\"probes\"]'").code, 0);
  const auto against = run_binary("table run --against transform=none --format csv", folder_.path);
  ASSERT_EQ(against.code, 0) << against.err;
  EXPECT_EQ(parse_csv(against.out, "stdout").rows.size(), 2u * 2);
  const auto read = run_binary("table run", folder_.path).out;
  EXPECT_TRUE(contains(read, "transform_on") && !contains(read, "clean_photos")) << read;
}

TEST_F(E2eAxes, PhotosThatComeBesideTheCleanOnesHideNobodyFromTheNearest) {
  const auto run = eval("--set 'enrolled=[\"replaced\",\"added\"]'");
  ASSERT_EQ(run.code, 0) << run.err;
  const Table table = parse_csv(run.out, "stdout");
  const auto protection = [&](const char* attack, const char* enrolled) {
    return std::stod(named(table, where(table, {{"attack", attack}, {"enrolled", enrolled}}).at(0), "protection"));
  };
  EXPECT_GT(protection("loud", "replaced"), protection("none", "replaced"));
  EXPECT_LE(protection("loud", "added"), protection("none", "replaced")) << "the clean photos are still there";
}

}  // namespace
}  // namespace facepoison::testing
