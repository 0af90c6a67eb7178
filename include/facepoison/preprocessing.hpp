// Checks a network's preprocessing with labelled photos: a wrong one separates people less well.
#pragma once
#include <optional>
#include <span>

#include "facepoison/mistakes.hpp"
#include "facepoison/verification.hpp"

namespace facepoison {

// The photos to compare preprocessings on: clean ones without duplicates, of people with two or more. People are added
// in a drawn order with 10 photos each, then with up to 40, until there are `most`; the same ones each time. Throws
// Error(input) if they are too few to measure a false accept rate of 1e-3, or to resample people.
std::vector<Photo> photos_to_compare(const Dataset& dataset, std::size_t most);

// A preprocessing that was tried: the card with some changes.
struct Tried {
  std::string what;             // "channels bgr"; "the card"
  std::vector<Change> changes;  // none: the card as it is
  Card contract;
  // NaN if the network gave a number that is not finite, or only zeros.
  Verification measured;
  Interval tar, d_prime;     // of 95 %, over people
  std::vector<double> tars;  // in each draw of people; draws are the same for all tried
};

// By how much TAR is higher than another's. The interval is of 99 % over the same draws, not of 95 %, since the best of
// many is chosen; it holds for each that is tried, not for all at once.
struct Gain {
  double value = 0;
  Interval interval;
  bool is_seen() const { return interval.low > 0; }
};
Gain gain_over(const Tried& other, const Tried& one);

// The card as it is, then others, best first: each usual change, and each pair of the best changes of the four best
// kinds. Not tried are changes that these photos cannot show (interpolation of pictures that are not resized), and
// mirror averaging, which helps a network even if its authors do not average. The store is not used. Throws
// Error(model) if the card as it is gives no usable embedding.
std::vector<Tried> try_preprocessings(const FeatureExtractor& extractor, std::span<const Photo> photos,
                                      const RunOptions& options);

// The index of the best of those that are better than the card, or of a simpler one that does not differ measurably.
// None if the card is the best, or does not differ measurably from the best.
std::optional<std::size_t> better_than_card(const std::vector<Tried>& tried);

}  // namespace facepoison
