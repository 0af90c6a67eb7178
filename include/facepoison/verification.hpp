// Verification, 1:1: whether two photos show one person, by the cosine distance of their embeddings.
#pragma once
#include <torch/types.h>

#include <vector>

#include "facepoison/random.hpp"
#include "facepoison/stats.hpp"
#include "facepoison/table.hpp"

namespace facepoison {

// The rows of a matrix at length 1, in float64. Throws NoDirection for a row of zeros.
torch::Tensor directions(const torch::Tensor& rows);

// How many of `impostors` pairs of different people a false accept rate accepts. The next nearest pair gives the
// threshold and is not accepted.
std::size_t let_through(double rate, double impostors);

// How well pairs of one person are separated from pairs of different people.
struct Verification {
  double tar = unknown;      // share of the former that is accepted if false_accepts of the latter are
  double d_prime = unknown;  // the distance between the two means, in standard deviations (root of the mean variance)
};
constexpr double false_accepts = 1e-3;

// How often each of P people is in a sample: D×P float64. The first row has everybody once. Each other row draws P
// people with replacement, again if all draws are one person.
torch::Tensor draws_of_people(std::int64_t people, std::int64_t draws, Seed seed);

// All pairs of some photos.
class PhotoPairs {
 public:
  // Embeddings N×D and their people (0 … P−1). Throws NoDirection.
  PhotoPairs(const torch::Tensor& embeddings, const std::vector<std::int64_t>& people);

  // For each row of `draws`, measures the pairs of people in it; each counts as often as its people are there. A photo
  // and its own copy are not a pair, nor are photos of two copies of one person.
  std::vector<Verification> measure(const torch::Tensor& draws) const;

 private:
  struct Impostor {
    double distance;
    std::int32_t a, b;  // people
  };
  double accepted(const double* times, double impostors) const;
  std::vector<double> d_primes(const torch::Tensor& draws) const;

  std::vector<std::vector<double>> genuine_;    // distances by person, sorted
  std::vector<Impostor> impostors_;             // sorted by distance
  torch::Tensor counts_, distances_, squares_;  // P×P, summed over the pairs of two people, or of one
};

}  // namespace facepoison
