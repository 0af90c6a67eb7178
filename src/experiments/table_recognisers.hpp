// The recognisers that name a table's rows, and which attacks knew them.
#pragma once
#include "facepoison/experiment.hpp"

namespace facepoison {

// Does a part of the posting optimise against one of the recogniser's extractors?
bool optimises_against(const Posting& posting, const TableRecogniser& recogniser);

// What a trainer with this recogniser relies on: "adaptive" (it was trained against attacks), else "surrogate" (the
// attack knew it, so the trainer relies on nothing), else "newer" or "older" than the attack (the last of a mix), or
// "same month" or "same year" if no more is known; "" if there is no such attack. Of two recognisers it is that of the
// one asked last.
std::string strategy(const Posting& posting, const TableRecogniser& recogniser);

}  // namespace facepoison
