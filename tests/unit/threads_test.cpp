// A pool of threads: order, exceptions, and that no work is lost.
#include "facepoison/threads.hpp"

#include <atomic>
#include <cstdlib>
#include <numeric>
#include <set>

#include "support/support.hpp"

namespace facepoison::testing {
namespace {

// src/environment.cpp has the policy in PATH's place for a while.
TEST(Environment, HasThePolicyOfThreadsAndThePathThatTheSystemGave) {
  const std::string given = '\0' + read_file("/proc/self/environ");
  const auto at = given.find(std::string("\0PATH=", 6));
  if (at == std::string::npos) GTEST_SKIP() << "PATH is not set";
  EXPECT_STREQ(std::getenv("PATH"), given.c_str() + at + 6);
  EXPECT_NE(std::getenv("OMP_WAIT_POLICY"), nullptr);
}

TEST(ThreadPool, AWorkerTakesTasksInOrder) {
  std::vector<int> order;
  {
    Worker worker;
    for (int k = 0; k < 100; ++k) worker.start([&order, k] { order.push_back(k); });
  }  // the pool finishes its work before it ends
  std::vector<int> expected(100);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(order, expected);
}

TEST(ThreadPool, ResultsAndExceptionsComeOutOfTheFuture) {
  ThreadPool pool(3);
  auto sum = pool.start([] { return 6 * 7; });
  auto thrown = pool.start([]() -> int { throw Error(Exit::input, "no"); });
  EXPECT_EQ(thrown.wait_for(std::chrono::seconds(20)), std::future_status::ready);
  EXPECT_EQ(caught([&] { thrown.get(); }).code, Exit::input);
  EXPECT_EQ(sum.get(), 42);
  EXPECT_EQ(pool.start([] { return 1; }).get(), 1) << "the pool goes on";
}

TEST(ThreadPool, SetsEachThreadUpBeforeItIsThere) {
  std::set<std::thread::id> threads;  // without a lock: one thread at a time
  const ThreadPool pool(4, [&] { threads.insert(std::this_thread::get_id()); });
  EXPECT_EQ(threads.size(), 4u);
  EXPECT_EQ(pool.size(), 4u);
}

TEST(InThreads, HandsOutEachRowOnce) {
  for (const std::size_t rows : {0, 1, 2, 7, 1000}) {
    std::vector<std::atomic<int>> times(rows);
    in_threads(rows, [&](std::size_t first, std::size_t end) {
      for (auto row = first; row < end; ++row) ++times[row];
    });
    for (const auto& count : times) EXPECT_EQ(count, 1);
  }
}

TEST(InThreads, WaitsForAllPartsAndThrowsWhatTheFirstOneThrew) {
  std::atomic<std::size_t> done = 0;
  const auto error = caught([&] {
    in_threads(1000, [&](std::size_t first, std::size_t end) {
      done += end - first;
      throw Error(Exit::input, concat("part from ", first));
    });
  });
  EXPECT_EQ(error.message, "part from 0");
  EXPECT_EQ(done, 1000u);
}

TEST(InThreads, RunsWithinItself) {
  std::atomic<std::size_t> sum = 0;
  in_threads(4, [&](std::size_t first, std::size_t end) {
    in_threads(5, [&](std::size_t from, std::size_t to) { sum += (end - first) * (to - from); });
  });
  EXPECT_EQ(sum, 20u);
}

}  // namespace
}  // namespace facepoison::testing
