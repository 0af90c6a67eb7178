// Looks for one person among a crowd, by that person's own photos: a few experiments, of which each photo is once a
// probe and once, with half of the others, what was posted.
#pragma once
#include "facepoison/device.hpp"
#include "facepoison/findings.hpp"
#include "facepoison/json.hpp"
#include "facepoison/store.hpp"

namespace facepoison {

struct OwnPhotos {
  fs::path photos;                      // a folder of one person's pictures
  fs::path crowd;                       // other people: a data set, or a folder of photos; "": the rendered people
  Json cloak;                           // an attack as a config has it; null: none
  std::vector<std::string> extractors;  // names or cards; none: every recogniser on this machine
  std::string device = "auto", precision = "fp32";
  bool trust_model = false, with_photos = false;  // with_photos: give them for the page
};

struct Searched {
  Findings findings;
  std::vector<ShownPhoto> photos;  // none unless asked for
};

// The fewest photos of the person, and the most photos of each other one.
constexpr std::size_t least_photos = 6, most_crowd_photos = 10;

// Writes into `work`, a new folder, and into the store only. Photos are left out that show no face, that repeat another
// one, or that every recogniser finds unlike the others; whoever of the crowd has one of the person's
// photos is left out too. Throws Error(input) where fewer than least_photos are left, with the reasons;
// else as read_experiment() and run_experiment().
Searched search_for(const OwnPhotos& own, const fs::path& work, ArtifactStore& store);

}  // namespace facepoison
