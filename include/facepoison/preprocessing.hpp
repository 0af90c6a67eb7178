// Is a network fed rightly? Labelled photos tell: fed wrongly, it tells people apart less well.
#pragma once
#include <optional>
#include <span>

#include "facepoison/mistakes.hpp"
#include "facepoison/verification.hpp"

namespace facepoison {

// The photos to compare preprocessings on: clean ones that repeat no other, of people who have two or more. People come
// in a drawn order with 10 photos each, then with up to 40, until there are `most`; the same ones each time. Throws
// Error(input) where they are too few to tell a false accept rate of 1e-3, or to resample people.
std::vector<Photo> photos_to_compare(const Dataset& dataset, std::size_t most);

// A preprocessing that was tried: the card with some changes.
struct Tried {
  std::string what;             // "channels bgr"; "the card"
  std::vector<Change> changes;  // none: the card as it is
  Card contract;
  // NaN where the network gave a number that is not finite, or zeros alone.
  Verification measured;
  Interval tar, d_prime;     // of 95 %, over people
  std::vector<double> tars;  // in each draw of people, the same ones for all that are tried
};

// By how much TAR is higher than another's. The interval is of 99 % over the same draws, not of 95 %, since the best
// of many is looked for; it holds for each that is tried, not for all at once.
struct Gain {
  double value = 0;
  Interval interval;
  bool is_seen() const { return interval.low > 0; }
};
Gain gain_over(const Tried& other, const Tried& one);

// The card as it is, then others, best first: each usual change, and each pair of the best changes of the four best
// kinds. What these photos cannot show (the interpolation of a picture that is not resized) is not tried, nor is mirror
// averaging, which helps a network whether its authors average or not. Nothing is kept in the store. Throws
// Error(model) where the card as it is gives no usable embedding.
std::vector<Tried> try_preprocessings(const FeatureExtractor& extractor, std::span<const Photo> photos,
                                      const RunOptions& options);

// Of those that are better than the card, the best, or a simpler one that cannot be told from it: its place in the
// list. None where the card is the best, or cannot be told from the best.
std::optional<std::size_t> better_than_card(const std::vector<Tried>& tried);

}  // namespace facepoison
