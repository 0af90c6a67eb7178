// Threads for work outside LibTorch: a pool, a single worker, and work divided over all cores.
#pragma once
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace facepoison {

// A fixed number of threads that run tasks in the order in which they were added. Any thread may add some. The
// destructor waits for all of them. A task must not wait for another one of the same pool.
class ThreadPool {
 public:
  // `setup` runs first in each thread, in one thread at a time, before the constructor returns; it must not throw.
  // Throws std::system_error if the system has no threads left.
  explicit ThreadPool(std::size_t threads, const std::function<void()>& setup = {});
  ThreadPool(const ThreadPool&) = delete;

  std::size_t size() const { return threads_.size(); }

  // The future gives the task's result, or the exception that it threw.
  template <class Task>
  auto start(Task task) {
    const auto packaged = std::make_shared<std::packaged_task<std::invoke_result_t<Task>()>>(std::move(task));
    add([packaged] { (*packaged)(); });
    return packaged->get_future();
  }

 private:
  void add(std::function<void()> task);
  void work(const std::stop_token& stop);

  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<std::function<void()>> tasks_;
  std::size_t ready_ = 0;              // threads that are set up
  std::vector<std::jthread> threads_;  // last: they end before what they use
};

// A FIFO worker thread: a pool of one.
class Worker : public ThreadPool {
 public:
  Worker() : ThreadPool(1) {}
};

// Waits for all of them; then rethrows what the first that failed threw.
void wait_for_all(std::vector<std::future<void>>& tasks);

// Calls work(first, end) for consecutive parts of `rows` rows, each in a thread of its own, as many as there are cores,
// and returns when all are done. Rethrows what the first part that failed threw.
void in_threads(std::size_t rows, const std::function<void(std::size_t first, std::size_t end)>& work);

}  // namespace facepoison
