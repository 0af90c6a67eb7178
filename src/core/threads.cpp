#include "facepoison/threads.hpp"

#include <algorithm>
#include <utility>

namespace facepoison {

ThreadPool::ThreadPool(std::size_t threads, const std::function<void()>& setup) {
  std::unique_lock lock(mutex_);
  for (std::size_t k = 0; k < threads; ++k)
    threads_.emplace_back([this, &setup](const std::stop_token& stop) {
      {
        const std::lock_guard one_at_a_time(mutex_);
        if (setup) setup();
        ++ready_;
      }
      wake_.notify_all();
      work(stop);
    });
  wake_.wait(lock, [&] { return ready_ == threads; });
}

void ThreadPool::add(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
}

void ThreadPool::work(const std::stop_token& stop) {
  for (std::unique_lock lock(mutex_); wake_.wait(lock, stop, [&] { return !tasks_.empty(); });) {
    const auto task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task();
    lock.lock();
  }
}

void wait_for_all(std::vector<std::future<void>>& tasks) {
  for (const auto& task : tasks) task.wait();
  for (auto& task : tasks) task.get();
}

void in_threads(std::size_t rows, const std::function<void(std::size_t, std::size_t)>& work) {
  const std::size_t cores = std::max(1u, std::thread::hardware_concurrency()), part = rows / cores + 1;
  ThreadPool pool((rows + part - 1) / part);
  std::vector<std::future<void>> parts;
  for (std::size_t first = 0; first < rows; first += part)
    parts.push_back(pool.start([&work, first, end = std::min(first + part, rows)] { work(first, end); }));
  wait_for_all(parts);
}

}  // namespace facepoison
