// The names of the axes: what an experiment varies, as columns of its tables. Files that know no LibTorch use it too.
#pragma once
#include <array>
#include <string_view>

namespace facepoison {

// What an experiment varies besides recognisers, in the order in which a run varies it: the last fastest. A new axis is
// an enumerator and a row of `axis_columns` here, a row of the registry in src/experiments/axes.cpp with a member of
// Combination, and what src/experiments/scenarios.cpp makes of that.
enum class Axis { attack, transform, transform_on, clean_photos, enrolled, together, probes, filter, seed };

struct AxisColumn {
  std::string_view name;
  std::string_view neutral;  // the value of a run that was made before the axis was there
  bool is_of_the_protected;  // it says what protected people do, and nothing of anybody else's photos
};

// By axis.
inline constexpr std::array<AxisColumn, 9> axis_columns = {{{"attack", "", true},
                                                            {"transform", "none", false},
                                                            {"transform_on", "", false},
                                                            {"clean_photos", "0", true},
                                                            {"enrolled", "replaced", true},
                                                            {"together", "one", true},
                                                            {"probes", "clean", true},
                                                            {"filter", "none", false},
                                                            {"seed", "0", false}}};

// The false accept rates at which 1:1 pairs are asked: pairs.csv has a column accepted_at_RATE for each.
inline constexpr std::array<const char*, 5> false_accept_rates = {"0.0001", "0.0003", "0.001", "0.003", "0.01"};

constexpr std::size_t index_of(Axis axis) { return static_cast<std::size_t>(axis); }
static_assert(index_of(Axis::seed) + 1 == axis_columns.size());

}  // namespace facepoison
