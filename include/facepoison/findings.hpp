// Whether one person is found in a crowd, from runs that look for that person: tables, sentences, a page.
#pragma once
#include <map>

#include "facepoison/report.hpp"

namespace facepoison {

// Facts about the runs that are not in their files.
struct Inquiry {
  std::string cloak;                    // the attack; "": none
  std::string together;                 // the runs' name for two recognisers asked together; "": none
  std::vector<std::string> surrogates;  // that the cloak is optimised against
  std::size_t people = 0;               // in the gallery, that person included
  bool is_crowd_rendered = false;       // the others are people who do not exist
  std::vector<std::pair<std::string, std::size_t>> left_out;  // photos that were not used: why, how many
  std::map<std::string, std::string> trained;  // recognisers that were trained on perturbed photos: by which attacks
};

struct Findings {
  Inquiry inquiry;
  // A row for each recogniser (or two asked together) and way of posting: recogniser, released, posted ("as they are"
  // or the cloak), transform, clean_photos, n (photos that were looked for), found (share of them that are identified),
  // low, high (Wilson, 95 %), place (median rank of the person among all people, 1 the first; unknown for two), check
  // (share of pairs of a looked-for and a posted photo that a 1:1 check accepts, if it accepts .001 of the pairs with
  // other people's photos; unknown if not measured), surrogate ("yes": the cloak is optimised against it).
  Table found;
  // The share that a gallery of that many randomly drawn people would give: recogniser, posted, people, found.
  Table crowd;
  Table flagged;  // by cloak detectors: detector, posted, n, flagged (share), low, high
  std::vector<std::string> notes;
};

// Reads run folders of one inquiry, which may have some rows in common: a photo counts once in each row. Throws
// Error(input) if a file is missing or damaged.
Findings findings_of(const Inquiry& inquiry, const std::vector<fs::path>& runs);

// A question without statistical terms, and the tables' answer. An answer is a measurement: none says that somebody is
// protected.
struct Answered {
  std::string id, question, answer;
};
std::vector<Answered> answers_of(const Findings& findings);

// A photo for the page, if requested.
struct ShownPhoto {
  std::string name;
  std::string jpeg;  // bytes
};

// An HTML page, complete in itself; see page_of() of runs.
std::string page_of(const Findings& findings, const std::vector<ShownPhoto>& photos, const fs::path& home);

}  // namespace facepoison
