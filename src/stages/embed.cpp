// The stage that embeds photos.
#include <algorithm>
#include <cmath>

#include "facepoison/embeddings.hpp"
#include "facepoison/error.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/npy.hpp"
#include "stages/blocks.hpp"
#include "stages/embed_batch.hpp"

namespace facepoison {
namespace {

constexpr auto matrix_file = "features.npy";

class EmbedStage final : public StageOf<Faces, torch::Tensor, EmbeddingStage> {
 public:
  EmbedStage(StagedPhotos photos, std::shared_ptr<const FeatureExtractor> extractor, const RunOptions& options)
      : StageOf("embedded", concat("embed, ", extractor->card().name), batch_rows(embed_block, options.device)),
        photos_(std::move(photos)),
        extractor_(std::move(extractor)),
        identity_(extractor_->identity()),
        options_(options) {
    add_units_by_person(photos_.list(), embed_block);
  }

  Json work() const override { return {identity_, arithmetic(options_)}; }

  Json key(const Unit& unit) const override {
    Json seen = Json::array();
    for (const auto& photo : photos_.of(unit)) seen.push_back(content_key(photo));
    return {{"format", 3},
            {"arithmetic", arithmetic(options_)},
            {"extractor", identity_},
            {"batch", {embed_block, piece_size}},
            {"photos", seen}};
  }

  std::vector<std::shared_ptr<Stage>> inputs() const override { return photos_.made_by(); }
  Needs needs(const Unit& unit) const override { return {made_in(photos_.of(unit)), {}}; }
  void load(ArtifactStore& store) override { photos_ = photos_.resolved(store); }

  torch::Tensor read(const ArtifactStore& store) const override {
    std::vector<torch::Tensor> features = {torch::empty({0, extractor_->card().dimension})};
    for (const auto& unit : units()) {
      stop_if_interrupted();
      features.push_back(read_npy(store.path(unit.id) / matrix_file));
    }
    return torch::cat(features);
  }

 private:
  Faces decode_rows(const Rows& rows) const override {
    return pad(load_faces(chosen(photos_.list(), rows)), padded(rows.size(), embed_block, options_.device));
  }

  std::vector<torch::Tensor> compute_rows(const Rows& rows, Faces faces) override {
    const std::vector<std::string> ids(faces.ids.begin(), faces.ids.begin() + static_cast<std::ptrdiff_t>(rows.size()));
    return embed_batch(*extractor_, options_, ids, faces.ids.size(), [&](std::size_t first, std::size_t count) {
      return extractor_->embed(part(faces, first, count).to(options_.device));
    });
  }

  void write_unit(const Unit&, std::span<const torch::Tensor> rows, const fs::path& folder) const override {
    write_unflushed(folder / matrix_file, npy_bytes(torch::stack(torch::TensorList(rows.data(), rows.size()))));
  }

  StagedPhotos photos_;
  std::shared_ptr<const FeatureExtractor> extractor_;
  Json identity_;
  RunOptions options_;
};

}  // namespace

std::shared_ptr<EmbeddingStage> embed_stage(StagedPhotos photos, std::shared_ptr<const FeatureExtractor> extractor,
                                            const RunOptions& options) {
  return std::make_shared<EmbedStage>(std::move(photos), std::move(extractor), options);
}

torch::Tensor embed(std::span<const Photo> photos, const FeatureExtractor& extractor, const RunOptions& options,
                    ArtifactStore& store) {
  const std::shared_ptr<const FeatureExtractor> borrowed(std::shared_ptr<void>(), &extractor);
  const auto stage = embed_stage(StagedPhotos(std::vector<Photo>(photos.begin(), photos.end())), borrowed, options);
  Executor(store).run(stage);
  return stage->read(store);
}

EmbeddingCache::EmbeddingCache(const ArtifactStore& store, std::size_t most_bytes)
    : store_(store), most_bytes_(most_bytes) {}

torch::Tensor EmbeddingCache::matrix(const ArtefactId& id) {
  const std::lock_guard lock(mutex_);
  if (const auto found = by_name_.find(id.name); found != by_name_.end()) {
    held_.splice(held_.begin(), held_, found->second);
    return held_.front().matrix;
  }
  stop_if_interrupted();
  held_.push_front({id.name, read_npy(store_.path(id) / matrix_file)});
  by_name_[id.name] = held_.begin();
  for (bytes_ += held_.front().matrix.nbytes(); bytes_ > most_bytes_ && held_.size() > 1; held_.pop_back()) {
    bytes_ -= held_.back().matrix.nbytes();
    by_name_.erase(held_.back().name);
  }
  return held_.front().matrix;
}

torch::Tensor EmbeddingCache::rows(const std::vector<Output>& outputs, std::int64_t dimension) {
  auto all = torch::empty({static_cast<std::int64_t>(outputs.size()), dimension});
  torch::Tensor open;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (i == 0 || outputs[i].unit != outputs[i - 1].unit) open = matrix(outputs[i].unit);
    all[static_cast<std::int64_t>(i)].copy_(open[static_cast<std::int64_t>(outputs[i].row)]);
  }
  return all;
}

std::vector<double> scores_of(const torch::Tensor& logits) {
  const auto scores = logits.to(torch::kFloat64).sigmoid().contiguous().view(-1);
  return {scores.data_ptr<double>(), scores.data_ptr<double>() + scores.numel()};
}

}  // namespace facepoison
