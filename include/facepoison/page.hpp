// Runs as one HTML file, for a browser without a network.
#pragma once
#include <optional>

#include "facepoison/json.hpp"
#include "facepoison/report.hpp"

namespace facepoison {

// The files of a run folder that a page needs: tables as they were written, and what they were made from.
// scripts/results.py keeps the same files.
struct KeptRun {
  fs::path folder;
  std::string name;    // the folder's
  Json config, facts;  // config.resolved.json, run.json
  std::vector<std::pair<const TableRow*, Table>> tables;
  Table differences;  // noise against no attack; empty without either, or the trials

  std::vector<std::string> sentences() const;  // see sentences_on()
};
// Throws Error(input) if a file is missing or damaged.
KeptRun read_kept_run(const fs::path& folder);

struct PageContent {
  std::vector<KeptRun> runs;   // one or more
  std::optional<Table> paper;  // compare_to_paper() of the first
  std::string pictures;        // the bytes of a PNG or a JPEG file; "": none
};

// An HTML page, complete in itself: sentences, figures, tables, and, folded, what they were made from. It loads nothing
// from elsewhere, and its tables need no scripts. `home` has data/report, and in build/report the scripts that draw;
// without these there are no figures, and the page says how to get them.
std::string page_of(const PageContent& content, const fs::path& home);

// Escapes what HTML reserves, for a text in an element or in an attribute.
std::string escape_html(std::string_view text);

}  // namespace facepoison
