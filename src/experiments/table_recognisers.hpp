// The recognisers that name a table's rows, and what attacks knew of them.
#pragma once
#include "facepoison/experiment.hpp"

namespace facepoison {

// Does a part of the posting optimise against one of the recogniser's extractors?
bool optimises_against(const Posting& posting, const TableRecogniser& recogniser);

// What a trainer who takes this recogniser relies on: "adaptive" (it was trained against attacks), else "surrogate"
// (the attack knew it, so the trainer relies on nothing), else "newer" or "older" than the attack (the last of a mix),
// or "same year" where no more is known; "" where there is no such attack. Of two recognisers: on who is asked last.
std::string strategy(const Posting& posting, const TableRecogniser& recogniser);

}  // namespace facepoison
