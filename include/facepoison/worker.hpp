// Threads for what is not arithmetic: one that has something ready a moment later, and as many as there are cores.
#pragma once
#include <malloc.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <thread>

namespace facepoison {

// Does what it is given, in order.
class Worker {
 public:
  Worker() : thread_([this](const std::stop_token& stop) { work(stop); }) {}

  // An exception comes out of the future.
  template <class Task>
  auto start(Task task) {
    const auto packaged = std::make_shared<std::packaged_task<std::invoke_result_t<Task>()>>(std::move(task));
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back([packaged] { (*packaged)(); });
    }
    wake_.notify_one();
    return packaged->get_future();
  }

 private:
  void work(const std::stop_token& stop) {
    for (std::unique_lock lock(mutex_); wake_.wait(lock, stop, [&] { return !tasks_.empty(); });) {
      const auto task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<std::function<void()>> tasks_;
  std::jthread thread_;  // last: it ends before what it uses
};

// Calls work(first, end) for consecutive parts of `rows` rows, each in a thread of its own, and returns when all are
// done. What the first part that failed threw comes out.
template <class Work>
void in_threads(std::size_t rows, const Work& work) {
  const std::size_t threads = std::max(1u, std::thread::hardware_concurrency()), part = rows / threads + 1;
  std::vector<std::future<void>> done;
  for (std::size_t first = 0; first < rows; first += part)
    done.push_back(
        std::async(std::launch::async, [&work, first, end = std::min(first + part, rows)] { work(first, end); }));
  for (const auto& one : done) one.wait();
  for (auto& one : done) one.get();
}

// Between two stages: what is free goes back to the system, which glibc keeps otherwise, thread by thread.
inline void give_memory_back() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

}  // namespace facepoison
