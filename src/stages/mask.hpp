// The stage that learns one mask for each person, for attacks in two halves: fit() here, run() in the perturb stage.
#pragma once
#include "facepoison/attack.hpp"

namespace facepoison {

// The masks of the people in the album as its photos' companions. A mask is learned from the person's photos of
// `learn_from`, or, if that is empty, from all of the person's photos in the album. The attack must outlive it.
std::shared_ptr<const Companions> masks_of(const StagedPhotos& album, const MaskPhotos& learn_from,
                                           const Attack& attack, Seed seed, const RunOptions& options);

}  // namespace facepoison
