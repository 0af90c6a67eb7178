// The names of the axes, as columns of an experiment's tables. Files without LibTorch include this too.
#pragma once
#include <array>
#include <string_view>

namespace facepoison {

// What an experiment varies besides recognisers, in the order in which a run varies it: the last fastest. A new axis
// needs an enumerator and a row of `axis_columns` here, a row of the registry in src/experiments/axes.cpp, a member of
// Combination, and its effect in src/experiments/scenarios.cpp.
enum class Axis {
  attack,
  budget,
  learned_from,
  transform,
  transform_on,
  clean_photos,
  enrolled,
  together,
  probes,
  distractors,
  filter,
  seed
};

struct AxisColumn {
  std::string_view name;
  std::string_view neutral;  // of a run that is older than the axis; "" for axes that have no effect in some rows, and
                             // there
  bool is_of_the_protected;  // it concerns photos of protected people only
};

// By axis.
inline constexpr std::array<AxisColumn, 12> axis_columns = {{{"attack", "", true},
                                                             {"budget", "", true},
                                                             {"learned_from", "", true},
                                                             {"transform", "none", false},
                                                             {"transform_on", "", false},
                                                             {"clean_photos", "0", true},
                                                             {"enrolled", "replaced", true},
                                                             {"together", "one", true},
                                                             {"probes", "clean", true},
                                                             {"distractors", "0", false},
                                                             {"filter", "none", false},
                                                             {"seed", "0", false}}};

// The false accept rates of 1:1 checks: pairs.csv has a column accepted_at_RATE for each.
inline constexpr std::array<const char*, 5> false_accept_rates = {"0.0001", "0.0003", "0.001", "0.003", "0.01"};

constexpr std::size_t index_of(Axis axis) { return static_cast<std::size_t>(axis); }
static_assert(index_of(Axis::seed) + 1 == axis_columns.size());

}  // namespace facepoison
