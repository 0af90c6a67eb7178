// Random numbers that depend on what they are for, never on the order of the work.
#pragma once
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace facepoison {

using Seed = std::uint64_t;

// The stream of one (seed, purpose, person, photo): the same numbers on every machine, for any order or batch.
class Stream {
 public:
  Stream(Seed seed, const std::string& purpose, const std::string& person = "", const std::string& photo = "");
  std::uint64_t bits() { return engine_(); }
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1.0p-53; }  // [0, 1)
  std::uint64_t below(std::uint64_t n);                                       // 0 … n−1, unbiased; n > 0
  template <class T>
  void shuffle(std::vector<T>& items) {  // Fisher–Yates
    for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }

 private:
  std::mt19937_64 engine_;
};

// CPython's `random` module: random.seed(integer), then random.sample(range(n), k), number for number.
// Source: CPython 3.11 Lib/random.py and Modules/_randommodule.c (behaviour; the code is ours).
class PythonRandom {
 public:
  explicit PythonRandom(std::uint32_t seed);
  std::vector<std::size_t> sample(std::size_t n, std::size_t k);

 private:
  std::uint32_t next();
  std::size_t below(std::size_t n);
  std::vector<std::uint32_t> state_;
  std::size_t position_;
};

}  // namespace facepoison
