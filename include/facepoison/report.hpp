// Tables of a run folder, from its files alone.
#pragma once
#include "facepoison/table.hpp"

namespace facepoison {

// A row for each extractor, attack and classifier: extractor, released, attack, classifier, people, n (their probes),
// protection (mean over protected people of their error, a fraction), low, high (95 %), others_error (of everybody
// else's probes, all swaps together), others_n, surrogate (does the attack optimise against this extractor?).
// by_person: a row for each protected person, with `protected` in the place of `people` and the interval of Clopper and
// Pearson. Throws Error(input) when the folder holds no whole run.
std::vector<std::string> table_columns(bool by_person);
Table table_of_run(const fs::path& folder, bool by_person);

// How much protection each row has more than the row that differs only in `key` ("extractor", "attack" or
// "classifier"), which is `value` there: extractor, released, attack, classifier, people, protection, against (the
// other's), difference, low, high (95 %), p, reading (of the interval). Throws Error(usage) where there is no such row,
// else as table_of_run.
Table differences_of_run(const fs::path& folder, const std::string& key, const std::string& value);

}  // namespace facepoison
