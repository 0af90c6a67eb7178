// Compares two rows of tables, over the people of both.
#pragma once
#include "facepoison/stats.hpp"
#include "report/run_folder.hpp"

namespace facepoison {

// The people of both groups, in the order of `one`.
std::vector<std::string> people_of_both(const RowAnswers& one, const RowAnswers& other);

// People's mean rates of error in two groups, and their difference.
struct PairedRates {
  double one = 0, other = 0;  // means of the people's rates
  Difference difference;      // one − other
};
// `people`: all of them in both groups.
PairedRates paired_rates(const RowAnswers& one, const RowAnswers& other, const std::vector<std::string>& people);

// Reads a difference: `above` or `below` 0 or `neither`, or too_few_people. The interval alone is not enough if so few
// people are there, or differ, that the sign-flip test cannot decide: if all differ by the same amount it has no width,
// even for two.
constexpr auto too_few_people = "too few people";
std::string reading(const Difference& difference, const std::string& above, const std::string& below,
                    const std::string& neither);

}  // namespace facepoison
