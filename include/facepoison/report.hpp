// Tables of a run folder, from its files alone.
#pragma once
#include "facepoison/table.hpp"

namespace facepoison {

// A row for each extractor, combination of the axes and classifier, and seeds together where there are several: its
// coordinates (extractor, released, strategy, attack, transform, transform_on, clean_photos, enrolled, classifier,
// seed), people, n (their probes), protection (mean over protected people of their error, a fraction), low, high
// (95 %), others_error (of everybody else's probes, all swaps together), others_n, surrogate (does the attack optimise
// against this extractor?), left_out (protected people who have too few photos for it), not_enrolled.
// by_person: a row for each protected person, with `protected` in the place of `people` and the interval of Clopper and
// Pearson. Throws Error(input) when the folder holds no whole run.
std::vector<std::string> table_columns(bool by_person);
Table table_of_run(const fs::path& folder, bool by_person);

// Without the columns of axes that have one value only.
Table for_reading(Table table);

// How much protection each row has more than the row that differs only in the coordinate `key`, which is `value` there
// (and, for a transform, in what it is on): the coordinates, people (whom both rows have), protection, against (the
// other's), difference, low, high (95 %), p, reading (of the interval). Throws Error(usage) where there is no such row,
// else as table_of_run.
Table differences_of_run(const fs::path& folder, const std::string& key, const std::string& value);

}  // namespace facepoison
