// One batch of embeddings.
#pragma once
#include "facepoison/extractor.hpp"

namespace facepoison {

constexpr std::size_t embed_block = 32;

// The embeddings of a padded batch's first |ids| rows, each a separate tensor on the CPU. `embed` gets the first row
// and the number of rows of a piece. Throws Error(model) with the photo's id if an embedding is not finite.
std::vector<torch::Tensor> embed_batch(const FeatureExtractor& extractor, const RunOptions& options,
                                       const std::vector<std::string>& ids, std::size_t padded_rows,
                                       const std::function<torch::Tensor(std::size_t, std::size_t)>& embed);

}  // namespace facepoison
