// Linkage: do photos of one person, clean or as posted, find each other among everybody's, and do posted photos of
// different people look like one person?
#pragma once
#include <array>

#include "facepoison/study.hpp"

namespace facepoison {

// The false accept rates among the posted photos of different people; the first one decides which photos are linked.
inline constexpr std::array<const char*, 2> linkage_rates = {"0.001", "0.01"};
// Of retrieval: whose half asks, and in which half the database has the person's photos.
inline constexpr std::array<const char*, 4> linkage_cells = {"clean_in_clean", "clean_in_posted", "posted_in_clean",
                                                             "posted_in_posted"};

// A person's row of links.csv. NaN: not known.
struct LinksOf {
  std::string person;
  std::int64_t queries = 0, pairs = 0, photos = 0;
  std::vector<double> retrieved;  // by linkage_cells; unknown for a person with one photo
  std::vector<double> accepted;   // by linkage_rates: pairs of the person's posted photos; unknown for one photo
  double precision = 0, recall = 0, f = 0;
};

// `gallery` G×D with its labels: everybody's; the albums' people are replaced by halves of their albums, drawn by the
// seed. Throws NoDirection.
std::vector<LinksOf> link_albums(const torch::Tensor& gallery, const std::vector<Label>& labels,
                                 const std::vector<PostedAlbum>& albums, Seed seed);

}  // namespace facepoison
