// The classifiers' constructors, and what they share: checks, and galleries after a swap.
#pragma once
#include <map>
#include <optional>

#include "facepoison/classifier.hpp"

namespace facepoison {

std::unique_ptr<Classifier> make_centroid(Spec& spec);
std::unique_ptr<Classifier> make_k_nearest(Spec& spec);
std::unique_ptr<Classifier> make_linear(Spec& spec);
std::unique_ptr<Classifier> make_nearest(Spec& spec);
std::unique_ptr<Classifier> make_nearest_cosine(Spec& spec);

// Throws Error(input) unless the gallery has rows, labels and probes fit it, and every number is finite.
void check(const torch::Tensor& gallery, const std::vector<std::int64_t>& labels, const torch::Tensor& probes);

// Throws Error(input) unless the swap has the stated number of features, they fit the probes, and all are finite.
void check_swap(const Swap& swap, const torch::Tensor& probes);

// Each person's gallery rows, ascending, by label.
using RowsOf = std::map<std::int64_t, std::vector<std::int64_t>>;
// The gallery and its labels after a swap.
std::pair<torch::Tensor, std::vector<std::int64_t>> swapped(const torch::Tensor& gallery,
                                                            const std::vector<std::int64_t>& labels, const Swap& swap);

// The label of the person that the swap changes; none if it changes several people.
std::optional<std::int64_t> person_of(const Swap& swap, const std::vector<std::int64_t>& labels);

RowsOf rows_by_label(const std::vector<std::int64_t>& labels);

}  // namespace facepoison
