// Two rows of tables beside each other, over people whom both have.
#pragma once
#include "facepoison/stats.hpp"
#include "report/run_folder.hpp"

namespace facepoison {

// In the order that `one` has them in.
std::vector<std::string> people_of_both(const Group& one, const Group& other);

struct PairedRates {
  double one = 0, other = 0;  // means of the people's rates
  Difference difference;      // one − other
};
// `people`: all of them in both groups.
PairedRates paired_rates(const Group& one, const Group& other, const std::vector<std::string>& people);

// What an interval of a difference says: the one of the three that fits.
std::string reading(const Interval& interval, const std::string& above, const std::string& below,
                    const std::string& neither);

}  // namespace facepoison
