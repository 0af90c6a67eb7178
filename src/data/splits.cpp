#include "facepoison/splits.hpp"

#include <algorithm>
#include <cmath>
#include <map>

namespace facepoison {
namespace {

std::map<std::string, std::vector<std::size_t>> rows_by_person(const std::vector<std::string>& people) {
  std::map<std::string, std::vector<std::size_t>> rows;  // std::map: people in the order of their bytes
  for (std::size_t i = 0; i < people.size(); ++i) rows[people[i]].push_back(i);
  return rows;
}

}  // namespace

std::vector<Split> seeded_split(const std::vector<std::string>& people, double train_share, Seed seed) {
  std::vector<Split> split(people.size(), Split::train);
  for (auto& [person, rows] : rows_by_person(people)) {
    const auto n = static_cast<long>(rows.size());
    const long wanted = std::lround(train_share * static_cast<double>(n));
    const long train = train_share == 0 || train_share == 1 ? wanted : n < 2 ? n : std::clamp(wanted, 1L, n - 1);
    Stream(seed, "split", person).shuffle(rows);
    for (long i = train; i < n; ++i) split[rows[static_cast<std::size_t>(i)]] = Split::test;
  }
  return split;
}

std::vector<Split> sorted_split(const std::vector<std::string>& people, double train_share) {
  std::vector<Split> split(people.size(), Split::train);
  for (const auto& [person, rows] : rows_by_person(people))
    for (auto i = static_cast<std::size_t>(train_share * static_cast<double>(rows.size())); i < rows.size(); ++i)
      split[rows[i]] = Split::test;
  return split;
}

std::vector<Split> facecure_split(const std::vector<std::string>& people) {
  std::vector<Split> split(people.size(), Split::train);
  PythonRandom random(10);
  for (const auto& [person, rows] : rows_by_person(people))
    for (const auto i : random.sample(rows.size(), static_cast<std::size_t>(0.3 * static_cast<double>(rows.size()))))
      split[rows[i]] = Split::test;
  return split;
}

}  // namespace facepoison
