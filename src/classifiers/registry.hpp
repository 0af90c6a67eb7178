// The classifiers' constructors, and what they all check.
#pragma once
#include "facepoison/classifier.hpp"

namespace facepoison {

std::unique_ptr<Classifier> make_centroid();
std::unique_ptr<Classifier> make_nearest();
std::unique_ptr<Classifier> make_nearest_cosine();

// Throws Error(input) unless the gallery has rows, labels and probes fit it, and every number is finite.
void check(const torch::Tensor& gallery, const std::vector<std::int64_t>& labels, const torch::Tensor& probes);

}  // namespace facepoison
