// The cache of embeddings, which owns its entries and drops the least recently used ones.
#include "facepoison/embeddings.hpp"

#include "support/support.hpp"

namespace facepoison::testing {
namespace {

class EmbeddingCacheTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const Dataset dataset = prepare_drawn(folder_.path, 3, 4);
    const auto extractor = make_extractor(write_tiny_extractor(folder_.path).string(), {});
    stage_ = embed_stage(StagedPhotos(dataset.photos), extractor, {});
    Executor(store_).run(stage_);
    all_ = stage_->read(store_);
  }
  torch::Tensor rows(EmbeddingCache& cache, const std::vector<std::size_t>& wanted) const {
    std::vector<Output> outputs;
    for (const auto row : wanted) outputs.push_back(stage_->output(row));
    return cache.rows(outputs, all_.size(1));
  }
  void remove(std::size_t row) const { fs::remove_all(store_.path(stage_->output(row).unit)); }

  TempFolder folder_;
  ArtifactStore store_{folder_ / "store"};
  std::shared_ptr<EmbeddingStage> stage_;
  torch::Tensor all_;
};

TEST_F(EmbeddingCacheTest, GivesAnyRowsInAnyOrder) {
  EmbeddingCache cache(store_);
  const auto some = rows(cache, {11, 0, 5, 5, 4});
  EXPECT_TRUE(torch::equal(some, all_.index_select(0, torch::tensor(std::vector<std::int64_t>{11, 0, 5, 5, 4}))));
  EXPECT_EQ(rows(cache, {}).sizes(), (std::vector<std::int64_t>{0, all_.size(1)}));
}

TEST_F(EmbeddingCacheTest, HoldsWhatWasUsedLastUpToItsLimit) {
  EmbeddingCache cache(store_, 2 * 4 * all_.size(1) * sizeof(float));  // two people's of three
  for (const std::size_t row : {0, 4, 0, 8}) rows(cache, {row});
  for (const std::size_t row : {0, 4, 8}) remove(row);
  EXPECT_TRUE(torch::equal(rows(cache, {0, 8}), all_.index_select(0, torch::tensor(std::vector<std::int64_t>{0, 8}))));
  EXPECT_EQ(caught([&] { rows(cache, {4}); }).code, Exit::input) << "which was used least recently";
}

}  // namespace
}  // namespace facepoison::testing
