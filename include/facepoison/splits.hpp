// Which photos the trainer has and which are probes.
#pragma once
#include "facepoison/random.hpp"

namespace facepoison {

enum class Split { none, train, test };  // none: not decided yet

// As manifests and tables write it: "", "train" or "test".
constexpr const char* split_name(Split split) {
  return split == Split::train ? "train" : split == Split::test ? "test" : "";
}

// Splits photos into train and test photos. `people` has the person of each, in order of photo id.
// A person keeps at least one train photo, and has a test photo from two photos on; but a share of 0 or 1 makes all of
// them test or train photos.
// Draws per person from the stream (seed, "split", person); train = share·n, rounded to nearest.
std::vector<Split> seeded_split(const std::vector<std::string>& people, double train_share, Seed seed);

// A person's first photos, by id, are for training: share·n of them, rounded down. FaceCure's eval_e2e.py does so with
// the attacker's first 70 % and draws those of others; here everybody is an attacker in turn.
std::vector<Split> sorted_split(const std::vector<std::string>& people, double train_share);

// The split of the paper's code (FaceCure eval.py): random.seed(10) once, then over sorted people
// test = random.sample(range(n), int(0.3·n)) of the person's sorted photos, one continuing stream.
// Deviation, listed: that code reseeds for the attacker, so each of its attackers has another draw than here.
std::vector<Split> facecure_split(const std::vector<std::string>& people);

}  // namespace facepoison
