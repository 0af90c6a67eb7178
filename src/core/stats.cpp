#include "facepoison/stats.hpp"

#include <algorithm>
#include <cmath>

namespace facepoison {

double mean(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

Interval wilson(double fraction, double n) {
  if (n <= 0) return {};
  const double z = 1.959963984540054;  // the normal distribution's 97.5 % point
  const double centre = (fraction + z * z / (2 * n)) / (1 + z * z / n);
  const double half = z / (1 + z * z / n) * std::sqrt(fraction * (1 - fraction) / n + z * z / (4 * n * n));
  return {std::max(0.0, std::min(fraction, centre - half)), std::min(1.0, std::max(fraction, centre + half))};
}

Interval bootstrap(std::span<const double> per_person, std::size_t draws, Seed seed) {
  if (per_person.empty()) return {};
  Stream stream(seed, "bootstrap");
  std::vector<double> means(draws);
  for (auto& value : means) {
    double sum = 0;
    for (std::size_t i = 0; i < per_person.size(); ++i) sum += per_person[stream.below(per_person.size())];
    value = sum / static_cast<double>(per_person.size());
  }
  std::sort(means.begin(), means.end());
  const auto at = [&](double share) { return means[static_cast<std::size_t>(share * static_cast<double>(draws - 1) + 0.5)]; };
  return {at(0.025), at(0.975)};
}

Interval protection_interval(std::span<const double> per_person, double probes) {
  const Interval people = bootstrap(per_person), trials = wilson(mean(per_person), probes);
  return people.width() > trials.width() ? people : trials;
}

}  // namespace facepoison
