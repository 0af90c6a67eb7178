// Refuses lists of a config in which two items have the same name.
#pragma once
#include <set>

#include "facepoison/error.hpp"
#include "facepoison/spec.hpp"

namespace facepoison {

// Throws Error(usage) for an empty list, and for two items with the same `name`.
template <class Items, class Name>
void refuse_repeats(const Spec& spec, const std::string& key, const Items& items, Name name) {
  std::set<std::string> seen;
  if (items.empty()) spec.fail(key, "found an empty list, expected at least one");
  for (const auto& item : items)
    if (!seen.insert(name(item)).second)
      spec.fail(key, concat("\"", name(item), "\" is named twice",
                            key == "attacks" || key == "transforms" ? "; give one of them another \"name\"" : ""));
}

}  // namespace facepoison
