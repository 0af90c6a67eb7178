// The config's "combine": two recognisers asked together.
#pragma once
#include "facepoison/recogniser.hpp"

namespace facepoison {

// `cards`: of the config's extractors; `absent`: of those whose weights are not here, whose combinations are skipped.
// Throws Error(usage).
std::vector<Pairing> read_combine(const Json& wanted, const Spec& spec, const std::vector<Card>& cards,
                                  const std::vector<Card>& absent);

Json json_of(const Pairing& pairing);  // as the config has it, defaults included

}  // namespace facepoison
