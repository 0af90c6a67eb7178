// The tables' functions, of a run folder.
#pragma once
#include "facepoison/report.hpp"
#include "report/run_folder.hpp"

namespace facepoison {

Table confusion(const fs::path& folder);
Table det(const fs::path& folder);
Table detection(const fs::path& folder);
Table displacement(const fs::path& folder);
Table growth(const fs::path& folder);
Table impersonation(const fs::path& folder);
Table linkage(const fs::path& folder);
Table open_set(const fs::path& folder);
Table rank(const fs::path& folder);
Table threshold(const fs::path& folder);
Table verification(const fs::path& folder);

// A table without rows yet, of the key columns and `more`, with the run's notes and one more.
Table table_with(const RunFolder& run, const std::vector<std::string>& more, const std::string& note);

}  // namespace facepoison
