// Tables of a run folder, from its files alone.
#pragma once
#include "facepoison/table.hpp"

namespace facepoison {

// A row for each extractor, attack and classifier: extractor, released, attack, classifier, people, n (their probes),
// protection (mean over protected people of their error, a fraction), low, high (95 %), others_error (of everybody
// else's probes, all swaps together), others_n, surrogate (does the attack optimise against this extractor?).
// by_person: a row for each protected person, with `protected` in the place of `people` and Wilson's interval.
// Throws Error(input) when the folder holds no whole run.
Table table_of_run(const fs::path& folder, bool by_person);

}  // namespace facepoison
