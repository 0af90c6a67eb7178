// Whom attacks may aim at.
#pragma once
#include "attacks/registry.hpp"

namespace facepoison {

// Photos of possible targets, test photos among them.
inline std::span<const Photo> photos_of_targets(const AttackSettings& settings, std::span<const Photo> everybody) {
  return settings.targets.empty() ? everybody : std::span<const Photo>(settings.targets);
}

// An error to throw when nobody but this person can be a target.
inline Error no_target_for(const std::string& person, const AttackSettings& settings) {
  return Error(Exit::input,
               concat(settings.name, ": only ", person,
                      " has photos, so there is no target; set \"targets\" to a data set of other people"));
}

}  // namespace facepoison
