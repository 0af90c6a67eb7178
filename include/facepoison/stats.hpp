// Intervals and tests for misclassification rates. All fractions are in [0, 1], all intervals are of 95 %. The
// functions have no state: several threads may call them at once.
#pragma once
#include <span>
#include <vector>

#include "facepoison/random.hpp"

namespace facepoison {

struct Interval {
  double low = 0, high = 1;
};

// With fewer people who differ, the sign-flip test cannot give a p below .05: the least is 2 / 2^people.
constexpr std::size_t least_people_who_differ = 6;

// The area under the ROC curve: the share of (genuine, impostor) pairs in which the genuine one is nearer; ties count
// half. NaN if there are no pairs.
double area_under_curve(std::vector<double> genuine, std::vector<double> impostors);

double mean(std::span<const double> values);                           // NaN for no values
double share_below(std::span<const double> values, double threshold);  // NaN for no values

// The exact interval of a fraction seen in `n` independent trials (Clopper and Pearson 1934). `n` need not be whole.
Interval clopper_pearson(double fraction, double n);

// The score interval of a fraction seen in `n` trials (Wilson 1927). {0, 1} for n of 0.
Interval wilson(double fraction, double n);

// The interval of the mean of people's rates (Korn and Graubard 1998, Survey Methodology 24): people are the sample,
// their probes are clustered in them. `probes`: all of theirs together. {0, 1} for one person, who tells nothing about
// others; NaN for nobody.
Interval protection_interval(std::span<const double> per_person, double probes);

// The interval of the middle `share` of resampled values (a percentile bootstrap). NaN for none, and if one of them is
// NaN.
Interval middle_interval(std::vector<double> resampled, double share = 0.95);

// By how much the same people's rates are higher in one row than in another.
struct Difference {
  double mean = 0;
  Interval interval{-1, 1};  // Student's t over the people's differences, cut to [−1, 1]
  double p = 1;  // sign-flip test, two-sided: the share of sign patterns whose sum is at least as far from 0
  std::size_t people = 0, differing = 0;  // all of them, and those whose difference is not 0
};
// p is of all patterns of up to 16 people who differ, else of 100,000 drawn ones, the observed one among them. All
// numbers are NaN for nobody.
Difference paired_difference(std::span<const double> per_person, Seed seed = 0);

}  // namespace facepoison
