// Shared by the sentences and the page.
#pragma once
#include "facepoison/findings.hpp"

namespace facepoison {

// The recognisers that name the person on more than half of the photos as they are.
std::vector<std::string> finders_of(const Findings& findings);

}  // namespace facepoison
