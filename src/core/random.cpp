#include "facepoison/random.hpp"

#include <cmath>
#include <unordered_set>

#include "facepoison/digests.hpp"
#include "facepoison/error.hpp"

namespace facepoison {

Stream::Stream(Seed seed, const std::string& purpose, const std::string& person, const std::string& photo) {
  // Each part follows its length, so that different tuples have different keys.
  std::string key = std::to_string(seed);
  for (const auto& part : {purpose, person, photo}) key += "|" + std::to_string(part.size()) + ":" + part;
  engine_.seed(std::stoull(sha256(key).substr(0, 16), nullptr, 16));
}

std::uint64_t Stream::below(std::uint64_t n) {
  const std::uint64_t limit = ~std::uint64_t{0} - ~std::uint64_t{0} % n;
  std::uint64_t value = bits();
  while (value >= limit) value = bits();
  return value % n;
}

// MT19937 as CPython seeds it: init_by_array with the integer's single 32-bit word, which std::mt19937 cannot do.
PythonRandom::PythonRandom(std::uint32_t seed) : state_(624), position_(624) {
  auto mixed = [this](std::size_t i, std::uint32_t factor) {
    return state_[i] ^ ((state_[i - 1] ^ (state_[i - 1] >> 30)) * factor);
  };
  state_[0] = 19650218u;
  for (std::uint32_t i = 1; i < 624; ++i) state_[i] = 1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + i;
  std::uint32_t i = 1;
  auto step = [&] {
    if (++i >= 624) {
      state_[0] = state_[623];
      i = 1;
    }
  };
  for (int k = 0; k < 624; ++k, step()) state_[i] = mixed(i, 1664525u) + seed;
  for (int k = 0; k < 623; ++k, step()) state_[i] = mixed(i, 1566083941u) - i;
  state_[0] = 0x80000000u;
}

std::uint32_t PythonRandom::next() {
  if (position_ == 624) {
    for (std::size_t i = 0; i < 624; ++i) {
      const std::uint32_t y = (state_[i] & 0x80000000u) | (state_[(i + 1) % 624] & 0x7fffffffu);
      state_[i] = state_[(i + 397) % 624] ^ (y >> 1) ^ ((y & 1u) ? 0x9908b0dfu : 0u);
    }
    position_ = 0;
  }
  std::uint32_t y = state_[position_++];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680u;
  y ^= (y << 15) & 0xefc60000u;
  return y ^ (y >> 18);
}

std::size_t PythonRandom::below(std::size_t n) {
  int width = 0;
  while (width < 32 && (n >> width) != 0) ++width;
  std::size_t value = next() >> (32 - width);
  while (value >= n) value = next() >> (32 - width);
  return value;
}

std::vector<std::size_t> PythonRandom::sample(std::size_t n, std::size_t k) {
  if (k > n) throw Error(Exit::input, concat("cannot draw ", k, " of ", n));
  std::size_t set_size = 21;  // CPython uses a list if it is smaller than the set of drawn numbers
  if (k > 5)
    set_size += static_cast<std::size_t>(std::pow(4, std::ceil(std::log(static_cast<double>(k) * 3) / std::log(4.0))));
  std::vector<std::size_t> drawn;
  if (n <= set_size) {
    std::vector<std::size_t> pool(n);
    for (std::size_t i = 0; i < n; ++i) pool[i] = i;
    for (std::size_t i = 0; i < k; ++i) {
      const std::size_t j = below(n - i);
      drawn.push_back(pool[j]);
      pool[j] = pool[n - i - 1];
    }
  } else {
    std::unordered_set<std::size_t> seen;
    while (drawn.size() < k) {
      const std::size_t j = below(n);
      if (seen.insert(j).second) drawn.push_back(j);
    }
  }
  return drawn;
}

}  // namespace facepoison
