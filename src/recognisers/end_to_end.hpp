#pragma once
#include "facepoison/recogniser.hpp"

namespace facepoison {

std::unique_ptr<Recogniser> make_end_to_end(std::shared_ptr<const FeatureExtractor> extractor, const Json& classifier,
                                            const RunOptions& options);

}  // namespace facepoison
