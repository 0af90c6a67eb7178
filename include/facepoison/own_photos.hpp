// Looks for one person in a crowd, by that person's own photos, in a few experiments: each photo is once a probe and
// once, with half of the others, a posted photo.
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
  bool trust_model = false, with_photos = false;  // with_photos: return them for the page
};

struct Searched {
  Findings findings;
  std::vector<ShownPhoto> photos;  // none unless asked for
};

// The fewest photos of the person, and the most photos of each other one.
constexpr std::size_t least_photos = 6, most_crowd_photos = 10;

// Writes only into `work`, a new folder, and into the store. Leaves out photos that show no face, repeat another one,
// or differ from the others for every recogniser, and people of the crowd who have one of the person's photos. Throws
// Error(input) if fewer than least_photos are left, with the reasons; else as read_experiment() and run_experiment().
Searched search_for(const OwnPhotos& own, const fs::path& work, ArtifactStore& store);

}  // namespace facepoison
