// Intervals for misclassification rates. All fractions are in [0, 1].
#pragma once
#include <span>

#include "facepoison/random.hpp"

namespace facepoison {

struct Interval {
  double low = 0, high = 1;
  double width() const { return high - low; }
};

double mean(std::span<const double> values);  // 0 for no values

// Wilson's 95 % score interval of a fraction seen in `n` independent trials (Wilson 1927).
Interval wilson(double fraction, double n);

// The 95 % percentile interval of the mean when whole people are drawn with replacement.
Interval bootstrap(std::span<const double> per_person, std::size_t draws = 10000, Seed seed = 0);

// The wider of the two: people differ (bootstrap), and few probes are few probes (Wilson).
Interval protection_interval(std::span<const double> per_person, double probes);

}  // namespace facepoison
