// A thread that does what it is given, in order: for what is to be ready a moment later.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <thread>

namespace facepoison {

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

}  // namespace facepoison
