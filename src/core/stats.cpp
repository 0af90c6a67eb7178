#include "facepoison/stats.hpp"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <boost/math/special_functions/beta.hpp>
#include <cmath>
#include <limits>

namespace facepoison {
namespace {

constexpr double tail = 0.025, not_known = std::numeric_limits<double>::quiet_NaN();
constexpr Interval no_interval = {not_known, not_known};
constexpr double z = 1.959963984540054;  // the normal distribution's 97.5 % point

double students_t(double degrees) { return boost::math::quantile(boost::math::students_t(degrees), 1 - tail); }

// The variance of the mean of the values, s²/K.
double variance_of_mean(std::span<const double> values) {
  const double centre = mean(values), count = static_cast<double>(values.size());
  double sum = 0;
  for (const double value : values) sum += (value - centre) * (value - centre);
  return sum / (count - 1) / count;
}

// Counts the sign patterns of `draw` for which the sum is at least as far from 0 as it is.
template <class Draw>
double share_as_far(std::span<const double> values, std::size_t patterns, Draw&& draw) {
  double seen = 0;
  for (const double value : values) seen += value;
  const double least = std::abs(seen) - 1e-12;  // sums in another order differ by rounding
  std::size_t as_far = 0;
  for (std::size_t k = 0; k < patterns; ++k) {
    double sum = 0;
    for (std::size_t i = 0; i < values.size(); ++i) sum += draw(k, i) ? -values[i] : values[i];
    as_far += std::abs(sum) >= least;
  }
  return static_cast<double>(as_far);
}

double sign_flip_p(std::vector<double> values, Seed seed) {
  constexpr std::size_t most_exact = 16, draws = 100000;
  std::erase(values, 0.0);  // their sign changes nothing
  if (values.size() <= most_exact) {
    const auto patterns = std::size_t{1} << values.size();
    return share_as_far(values, patterns, [](std::size_t k, std::size_t i) { return k >> i & 1; }) /
           static_cast<double>(patterns);
  }
  Stream stream(seed, "sign-flip");
  std::uint64_t bits = 0;
  const auto flip = [&](std::size_t, std::size_t i) {
    if (i % 64 == 0) bits = stream.bits();
    return bits >> (i % 64) & 1;
  };
  return (1 + share_as_far(values, draws - 1, flip)) / static_cast<double>(draws);
}

// The value below which `share` of the sorted values lie, linearly interpolated.
double quantile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place), above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

double mean(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double share_below(std::span<const double> values, double threshold) {
  const auto below = std::count_if(values.begin(), values.end(), [&](double value) { return value < threshold; });
  return static_cast<double>(below) / static_cast<double>(values.size());
}

double area_under_curve(std::vector<double> genuine, std::vector<double> impostors) {
  std::sort(impostors.begin(), impostors.end());
  double nearer = 0;
  for (const auto distance : genuine) {
    const auto [first, last] = std::equal_range(impostors.begin(), impostors.end(), distance);
    nearer += static_cast<double>(impostors.end() - last) + 0.5 * static_cast<double>(last - first);
  }
  return nearer / static_cast<double>(genuine.size()) / static_cast<double>(impostors.size());
}

Interval clopper_pearson(double fraction, double n) {
  if (n <= 0) return {};
  const double hits = fraction * n, misses = n - hits;
  return {hits <= 0 ? 0 : boost::math::ibeta_inv(hits, misses + 1, tail),
          misses <= 0 ? 1 : boost::math::ibeta_inv(hits + 1, misses, 1 - tail)};
}

Interval wilson(double fraction, double n) {
  if (n <= 0) return {};
  const double scale = 1 + z * z / n, centre = (fraction + z * z / (2 * n)) / scale,
               half = z / scale * std::sqrt(fraction * (1 - fraction) / n + z * z / (4 * n * n));
  return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

Interval protection_interval(std::span<const double> per_person, double probes) {
  const auto people = static_cast<double>(per_person.size());
  if (people == 0) return no_interval;
  if (people < 2) return {};
  const double p = mean(per_person), variance = variance_of_mean(per_person), t = students_t(people - 1);
  const bool agree = p <= 0 || p >= 1;  // then it is unknown how people differ
  const double effective = agree ? people : variance > 0 ? std::min(probes, p * (1 - p) / variance) : probes;
  return clopper_pearson(p, effective * (z / t) * (z / t));
}

Interval middle_interval(std::vector<double> resampled, double share) {
  const bool known = std::none_of(resampled.begin(), resampled.end(), [](double value) { return std::isnan(value); });
  if (resampled.empty() || !known) return no_interval;
  std::sort(resampled.begin(), resampled.end());
  return {quantile(resampled, (1 - share) / 2), quantile(resampled, (1 + share) / 2)};
}

Difference paired_difference(std::span<const double> per_person, Seed seed) {
  if (per_person.empty()) return {not_known, no_interval, not_known};
  Difference out{mean(per_person), {-1, 1}, sign_flip_p({per_person.begin(), per_person.end()}, seed)};
  out.people = per_person.size();
  out.differing = per_person.size() - static_cast<std::size_t>(std::count(per_person.begin(), per_person.end(), 0.0));
  if (per_person.size() < 2) return out;
  const double half = students_t(static_cast<double>(per_person.size()) - 1) * std::sqrt(variance_of_mean(per_person));
  out.interval = {std::max(-1.0, out.mean - half), std::min(1.0, out.mean + half)};
  return out;
}

}  // namespace facepoison
