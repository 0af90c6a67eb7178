// The cached arrows: a block's embeddings belong to its own photos, whatever the store already holds.
#include "facepoison/stages.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

std::vector<Photo> repeated(const Photo& photo, std::size_t count) { return std::vector<Photo>(count, photo); }

TEST(Embed, ABlockThatTurnsUpInTheStoreDoesNotShiftTheNext) {
  const TempFolder folder;
  const Dataset dataset = prepare_drawn(folder.path, 2, 2);
  const auto extractor = make_extractor(write_tiny_extractor(folder.path).string(), {});
  // Two equal blocks and another: the second is prefetched while the first is made, and is then found in the store.
  auto photos = repeated(dataset.photos.front(), 64);
  const auto others = repeated(dataset.photos.back(), 32);
  photos.insert(photos.end(), others.begin(), others.end());
  ArtifactStore one(folder / "one"), two(folder / "two");
  const auto together = embed(photos, *extractor, {}, one), alone = embed(others, *extractor, {}, two);
  EXPECT_TRUE(torch::equal(together.narrow(0, 64, 32), alone));
  EXPECT_FALSE(torch::equal(together.narrow(0, 0, 32), alone)) << "the two photos embed alike: this test shows nothing";
}

}  // namespace
}  // namespace facepoison::testing
