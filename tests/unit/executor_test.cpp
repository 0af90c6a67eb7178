// Stages: their names are known before anything is made, and only what is missing is made.
#include "facepoison/executor.hpp"

#include <atomic>
#include <numeric>
#include <thread>

#include "support/support.hpp"

namespace facepoison::testing {
namespace {

// Writes a number into each unit: its rows' own, plus what its inputs hold.
class Adding final : public StageOf<int, int> {
 public:
  Adding(std::string kind, std::vector<int> numbers, std::size_t unit, std::vector<std::shared_ptr<Adding>> inputs = {})
      : StageOf(std::move(kind), "test", 3), numbers_(std::move(numbers)), inputs_(std::move(inputs)) {
    for (std::size_t first = 0; first < numbers_.size(); first += unit)
      add_unit(first, std::min(unit, numbers_.size() - first));
  }

  int loads = 0, computed = 0;
  int extra = 0;            // not part of a key, like a device's rounding
  int killed_after = 1000;  // rows

  Json key(const Unit& unit) const override {
    Json key = {{"numbers", std::vector(numbers_.begin() + static_cast<std::ptrdiff_t>(unit.first),
                                        numbers_.begin() + static_cast<std::ptrdiff_t>(unit.first + unit.count))}};
    for (const auto& input : inputs_) key["inputs"].push_back(input->group()->id.name);
    return key;
  }
  std::vector<std::shared_ptr<Stage>> inputs() const override { return {inputs_.begin(), inputs_.end()}; }
  Needs needs(const Unit&) const override {
    Needs needs;
    for (const auto& input : inputs_) needs.groups.push_back(input->group());
    return needs;
  }
  void load(ArtifactStore& store) override {
    ++loads;
    sum_ = 0;
    for (const auto& input : inputs_)
      for (const auto& number : input->read(store)) sum_ += number;
  }
  std::vector<int> read(const ArtifactStore& store) const {
    std::vector<int> found;
    for (const auto& unit : units()) {
      const Json list = Json::parse(read_file(store.path(unit.id) / "numbers.json"));
      found.insert(found.end(), list.begin(), list.end());
    }
    return found;
  }

 private:
  int decode_rows(const Rows& rows) const override { return static_cast<int>(rows.size()); }
  std::vector<int> compute_rows(const Rows& rows, int decoded) override {
    EXPECT_EQ(decoded, static_cast<int>(rows.size())) << "a batch is computed from its own rows";
    std::vector<int> made;
    for (const auto row : rows) made.push_back(numbers_[row] + sum_ + extra);
    computed += static_cast<int>(rows.size());
    if (computed > killed_after) throw Error(Exit::interrupted, "killed");
    return made;
  }
  void write_unit(const Unit&, std::span<const int> made, const fs::path& folder) const override {
    write_file(folder / "numbers.json", Json(std::vector(made.begin(), made.end())).dump());
  }

  std::vector<int> numbers_;
  std::vector<std::shared_ptr<Adding>> inputs_;
  int sum_ = 0;
};

class ExecutorTest : public ::testing::Test {
 protected:
  // Twice one and two, and 10, 20, … with their sum.
  struct Chain {
    std::shared_ptr<Adding> first = std::make_shared<Adding>("first", std::vector{1, 2, 3, 4, 5}, 2);
    std::shared_ptr<Adding> second = std::make_shared<Adding>("second", std::vector{10, 20, 30}, 1, std::vector{first});
  };
  TempFolder folder_;
  ArtifactStore store_{folder_ / "store"};
};

TEST_F(ExecutorTest, RunsWhatIsMissingAndFirstWhatThatIsMadeFrom) {
  const Chain chain;
  Executor(store_).run(chain.second);
  EXPECT_EQ(chain.first->read(store_), (std::vector{1, 2, 3, 4, 5}));
  EXPECT_EQ(chain.second->read(store_), (std::vector{25, 35, 45}));
  const Chain again;
  Executor executor(store_);
  executor.run(again.second);
  executor.run(again.second);
  EXPECT_EQ(again.second->loads + again.second->computed + again.first->computed, 0);
  EXPECT_EQ(again.second->units()[2].id, chain.second->units()[2].id);
}

TEST_F(ExecutorTest, AsksForNoInputOfWhatIsThere) {
  const Chain chain;
  Executor(store_).run(chain.second);
  fs::remove_all(store_.root() / "first");
  const Chain again;
  Executor(store_).run(again.second);
  EXPECT_EQ(again.first->computed, 0) << "an answer needs no embedding";
  fs::remove_all(store_.path(again.second->units()[1].id));
  const Chain third;
  Executor(store_).run(third.second);
  EXPECT_EQ(third.first->computed, 5);
  EXPECT_EQ(third.second->computed, 1) << "the others are there still";
}

// The same computation gives other bytes on another device.
TEST_F(ExecutorTest, WhatWasMadeFromOtherBytesIsMadeAgain) {
  const Chain chain;
  Executor(store_).run(chain.second);
  fs::remove_all(store_.root() / "first");
  const Chain again;
  again.first->extra = 1;
  Executor(store_).run(again.first);
  EXPECT_EQ(Executor(store_).look(again.second), std::vector(3, false));
  Executor(store_).run(again.second);
  EXPECT_EQ(again.second->read(store_), (std::vector{30, 40, 50}));
  EXPECT_EQ(Executor(store_).look(again.second), std::vector(3, true));
  // A unit that is made again as a side effect of another counts too.
  fs::remove_all(store_.path(again.first->units()[0].id));
  fs::remove_all(store_.path(again.second->units()[0].id));
  const Chain third;
  third.first->extra = 5;
  Executor(store_).run(third.second);
  EXPECT_EQ(third.second->read(store_), (std::vector{38, 48, 58})) << "all three, for one input has other bytes";
  const Chain same;
  fs::remove_all(store_.path(same.first->units()[2].id));
  same.first->extra = 1;
  Executor(store_).run(same.first);
  Executor(store_).run(same.second);
  EXPECT_EQ(same.second->computed, 0) << "which were made again with the same bytes";
}

TEST_F(ExecutorTest, GoesOnWhereItWasKilled) {
  const Chain killed;
  killed.first->killed_after = 3;
  EXPECT_EQ(caught([&] { Executor(store_).run(killed.second); }).code, Exit::interrupted);
  const auto seconds_then = store_.seconds_a_row("first", {});
  const Chain again;
  Executor(store_).run(again.second);
  EXPECT_EQ(again.first->computed, 3) << "of five rows, the first unit's two were there";
  EXPECT_FALSE(std::isnan(seconds_then)) << "what the killed one took is known";
  EXPECT_EQ(again.second->read(store_), (std::vector{25, 35, 45}));
}

TEST_F(ExecutorTest, AWorkerLeavesToOthersWhatTheyMake) {
  const Chain chain;
  ArtifactStore of_another(folder_ / "store");
  auto claim = of_another.claim(chain.first->units()[1].id);
  Executor worker(store_, {.waits = false});
  EXPECT_FALSE(worker.run(chain.second));
  EXPECT_EQ(chain.first->computed, 3) << "all but the other's unit of two";
  EXPECT_EQ(chain.second->computed, 0);
  EXPECT_FALSE(worker.run(chain.second));
  claim.reset();  // its holder died
  EXPECT_FALSE(worker.run(chain.second)) << "until it looks again";
  worker.look_again();
  EXPECT_TRUE(worker.run(chain.second));
  EXPECT_EQ(chain.first->computed, 5);
  EXPECT_EQ(chain.second->read(store_), (std::vector{25, 35, 45}));
}

TEST_F(ExecutorTest, AWorkerThatMakesNothingLoadsNothing) {
  const Chain chain;
  ArtifactStore of_another(folder_ / "store");
  std::vector<std::shared_ptr<Claim>> claims;
  for (const auto& unit : chain.first->units()) claims.push_back(of_another.claim(unit.id));
  EXPECT_FALSE(Executor(store_, {.waits = false}).run(chain.first));
  EXPECT_EQ(chain.first->loads, 0);
}

TEST_F(ExecutorTest, WorkersBeginAtDifferentUnits) {
  Adding stage("kind", {1, 2, 3, 4, 5, 6, 7, 8, 9}, 3);
  const auto shared = std::shared_ptr<Adding>(&stage, [](auto*) {});
  stage.killed_after = 3;
  EXPECT_EQ(caught([&] { Executor(store_, {.start = 0.5}).run(shared); }).code, Exit::interrupted);
  EXPECT_FALSE(store_.find(stage.units()[0].id));
  EXPECT_TRUE(store_.find(stage.units()[1].id));
}

TEST_F(ExecutorTest, AWorkerMakesItsKindsAlone) {
  const Chain chain;
  Executor of_second(store_, {.waits = false, .kinds = {"second"}});
  EXPECT_FALSE(of_second.run(chain.second));
  Executor(store_, {.waits = false, .kinds = {"first"}}).run(chain.second);
  EXPECT_EQ(chain.first->computed, 5);
  EXPECT_EQ(chain.second->computed, 0);
  of_second.look_again();
  EXPECT_TRUE(of_second.run(chain.second)) << "what others made counts";
  EXPECT_EQ(chain.first->computed, 5);
  const auto unknown = caught([&] { share({chain.second}, {.kinds = {"third"}}, store_); });
  EXPECT_EQ(unknown.code, Exit::usage);
  EXPECT_TRUE(contains(unknown.message, "third") && contains(unknown.message, "first")) << unknown.message;
}

TEST_F(ExecutorTest, WorkersMakeEachUnitOnce) {
  std::vector<int> numbers(200);
  std::iota(numbers.begin(), numbers.end(), 0);
  constexpr int workers = 4;
  std::atomic<int> first = 0, second = 0;
  std::vector<std::jthread> threads;
  for (int w = 0; w < workers; ++w)
    threads.emplace_back([&, w] {
      ArtifactStore store(folder_ / "store");
      const auto input = std::make_shared<Adding>("first", numbers, 2);
      const auto last = std::make_shared<Adding>("second", numbers, 1, std::vector{input});
      share({last}, {.start = static_cast<double>(w) / workers}, store);
      first += input->computed, second += last->computed;
    });
  threads.clear();
  EXPECT_EQ(first, 200);
  EXPECT_EQ(second, 200);
}

TEST_F(ExecutorTest, APlanNamesEachUnitOnceAfterWhatItNeedsAndWritesNothing) {
  ArtifactStore to_read(folder_ / "store", Access::read);
  const auto planned = [&] {
    const Chain chain;
    Plan plan(to_read);
    plan.add(chain.second);
    plan.add(chain.first);
    return plan.units();
  };
  const auto before = planned();
  EXPECT_FALSE(fs::exists(folder_ / "store"));
  ASSERT_EQ(before.size(), 3u + 1u + 3u) << "units, a group of the first three, and units";
  EXPECT_EQ(before[3].id.kind, "all");
  std::set<std::string> known;
  for (const auto& unit : before) {
    EXPECT_FALSE(unit.stored);
    for (const auto& need : unit.needs) EXPECT_TRUE(known.count(need)) << unit.id.name;
    EXPECT_TRUE(known.insert(unit.id.name).second);
  }
  const Chain chain;
  Executor(store_).run(chain.second);
  const auto after = planned();
  ASSERT_EQ(after.size(), before.size());
  for (std::size_t u = 0; u < after.size(); ++u) {
    EXPECT_TRUE(after[u].stored);
    EXPECT_EQ(after[u].id, before[u].id) << "the name is the one that it was planned under";
  }
}

TEST_F(ExecutorTest, ARowIsFoundInItsUnit) {
  const Adding stage("kind", {1, 2, 3, 4, 5}, 2);
  EXPECT_EQ(stage.output(4).unit, stage.units()[2].id);
  EXPECT_EQ(stage.output(3).row, 1u);
  EXPECT_THROW(stage.output(5), std::out_of_range);
  EXPECT_EQ(make_group({stage.units()[1].id, stage.units()[0].id, stage.units()[1].id})->id,
            make_group({stage.units()[0].id, stage.units()[1].id})->id);
}

}  // namespace
}  // namespace facepoison::testing
