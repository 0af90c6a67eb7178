// The config's "combine": two recognisers that are asked together.
#pragma once
#include "facepoison/recogniser.hpp"

namespace facepoison {

// Reads the config's "combine". `cards`: of the config's extractors; `absent`: of those without weights on this
// machine; their combinations are skipped. Throws Error(usage).
std::vector<Pairing> read_combine(const Json& wanted, const Spec& spec, const std::vector<Card>& cards,
                                  const std::vector<Card>& absent);

// A pairing as the config has it, defaults included.
Json json_of(const Pairing& pairing);

}  // namespace facepoison
