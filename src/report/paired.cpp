#include "report/paired.hpp"

namespace facepoison {

std::vector<std::string> people_of_both(const RowAnswers& one, const RowAnswers& other) {
  std::vector<std::string> people;
  for (const auto& person : one.people)
    if (other.own.count(person)) people.push_back(person);
  return people;
}

PairedRates paired_rates(const RowAnswers& one, const RowAnswers& other, const std::vector<std::string>& people) {
  std::vector<double> rates, differences;
  for (const auto& person : people) {
    rates.push_back(one.own.at(person).rate());
    differences.push_back(rates.back() - other.own.at(person).rate());
  }
  const auto found = paired_difference(differences);
  return {mean(rates), mean(rates) - found.mean, found};
}

std::string reading(const Difference& difference, const std::string& above, const std::string& below,
                    const std::string& neither) {
  const auto& [low, high] = difference.interval;
  if (difference.people < least_people_who_differ) return too_few_people;
  if (low <= 0 && high >= 0) return neither;
  if (difference.differing < least_people_who_differ) return too_few_people;
  return low > 0 ? above : below;
}

}  // namespace facepoison
