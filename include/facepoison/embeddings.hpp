// Embeddings of photos: the stages that compute them, and a cache through which they are read.
#pragma once
#include <list>
#include <map>
#include <mutex>

#include "facepoison/attack.hpp"
#include "facepoison/executor.hpp"
#include "facepoison/photos.hpp"
#include "facepoison/table.hpp"

namespace facepoison {

// Embeds photos, in their order. A unit is one artefact "embedded". When it runs, it throws Error(model) with the photo
// if an embedding is not finite.
std::shared_ptr<EmbeddingStage> embed_stage(StagedPhotos photos, std::shared_ptr<const FeatureExtractor> extractor,
                                            const RunOptions& options);

// Plans, runs and reads it: N×D float32 on the CPU.
torch::Tensor embed(std::span<const Photo> photos, const FeatureExtractor& extractor, const RunOptions& options,
                    ArtifactStore& store);

// Keeps embeddings of artefacts in memory, up to a limit; drops the least recently used first. Thread-safe.
class EmbeddingCache {
 public:
  // The store must outlive it.
  explicit EmbeddingCache(const ArtifactStore& store, std::size_t most_bytes = std::size_t{256} << 20);
  // The rows of these outputs of embedding stages, in their order: N×D float32 on the CPU. Throws Error(input) for one
  // that cannot be read.
  torch::Tensor rows(const std::vector<Output>& outputs, std::int64_t dimension);

 private:
  torch::Tensor matrix(const ArtefactId& id);
  struct Held {
    std::string name;
    torch::Tensor matrix;
  };
  const ArtifactStore& store_;
  const std::size_t most_bytes_;
  std::mutex mutex_;
  std::list<Held> held_;  // last used first
  std::map<std::string, std::list<Held>::iterator> by_name_;
  std::size_t bytes_ = 0;
};

// Scores, 0 … 1, from a cloak detector's logits N×1.
std::vector<double> scores_of(const torch::Tensor& logits);

// Embeds a plain folder of crops of any sizes, resized plainly; cached by the files' contents. A crop that cannot be
// decoded is a row (id, person, reason) of `rejected`; the others are in `kept`, in the rows' order.
torch::Tensor embed_crops(const PhotoFolder& folder, Exif exif, const FeatureExtractor& extractor,
                          const RunOptions& options, ArtifactStore& store, std::vector<PhotoFile>& kept,
                          Table& rejected);

}  // namespace facepoison
