// The people that a recogniser was trained on. A trained card names a file beside it, "trained_on": {"file", "sha256"};
// for other recognisers this is not recorded.
#pragma once
#include <set>

#include "facepoison/card.hpp"
#include "facepoison/dataset.hpp"

namespace facepoison {

// One training. A recogniser that was trained from another one has several.
struct Training {
  std::string recogniser, manifest_sha256;
  std::set<std::string> people, photos;  // names within that data set; sha256 of the photos' files (source_sha256)
};

// The trainings of a card's network, oldest first; empty if they are not recorded. Throws Error(model) for a file that
// is missing, altered or not such a record.
std::vector<Training> trainings_of(const Card& card);

std::string print(const std::vector<Training>& trainings);  // JSON, as trainings_of() reads it

// A training of `recogniser` on all photos of these people.
Training training_on(const Dataset& dataset, const std::vector<std::string>& people, const std::string& recogniser);

// The people of a data set who were trained on: found by the hash of one of their photos or, in the same data set, by
// name.
std::set<std::string> people_seen(const std::vector<Training>& trainings, const Dataset& dataset);

}  // namespace facepoison
