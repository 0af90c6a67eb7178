// Stages over a store: a block's embeddings belong to its own photos, with any content of the store.
#include "facepoison/embeddings.hpp"
#include "facepoison/posted.hpp"

#include <atomic>

#include "stages/blocks.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

TEST(Blocks, ABatchHasAPieceForEachThread) {
  const auto before = at::get_num_threads();
  at::set_num_threads(1);
  EXPECT_EQ(batch_rows(16, torch::kCPU), 16u);
  at::set_num_threads(8);
  EXPECT_EQ(batch_rows(16, torch::kCPU), 8 * piece_size);
  EXPECT_EQ(batch_rows(16, torch::kCUDA), 16u);
  at::set_num_threads(before);
}

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

// Mean colours; counts its pictures and fails after so many.
class Counting final : public FeatureExtractor {
 public:
  static Card three() {
    Card card;
    card.name = "counting", card.width = card.height = 8, card.dimension = 3, card.template_name = "none";
    card.std = {1, 1, 1};
    return card;
  }
  Counting() : FeatureExtractor(three()) {}
  Json identity() const override { return "counting"; }
  mutable std::atomic<std::int64_t> seen = 0;
  std::int64_t most = 1000;

 private:
  torch::Tensor forward(const torch::Tensor& prepared) const override {
    if ((seen += prepared.size(0)) > most) throw Error(Exit::interrupted, "killed");
    return prepared.mean({2, 3});
  }
};

TEST(EmbedCrops, GoOnWhereTheyWereAndAreKnownByTheirContents) {
  const TempFolder folder;
  draw_people(folder / "photos", 2, 32);
  write_file(folder / "photos/p00/v31.png", "<html>404</html>");
  ArtifactStore store(folder / "store");
  std::vector<PhotoFile> kept;
  Table rejected{{"id", "person", "reason"}, {}, {}};
  const auto embedded_again = [&](const Counting& extractor) {
    kept.clear(), rejected.rows.clear();
    return embed_crops(scan_photos(folder / "photos"), Exif::rotate, extractor, {}, store, kept, rejected);
  };
  Counting killed, second, third, fourth;
  killed.most = 32;  // a batch, which is not the first person alone
  EXPECT_EQ(caught([&] { embedded_again(killed); }).code, Exit::interrupted);
  const auto all = embedded_again(second);
  EXPECT_LE(second.seen, 32) << "the first person's photos were in the store";
  EXPECT_EQ(all.sizes(), (std::vector<std::int64_t>{63, 3}));
  ASSERT_EQ(kept.size(), 63u);
  EXPECT_EQ(kept[31].id, "p01/v0.png");
  ASSERT_EQ(rejected.rows.size(), 1u);
  EXPECT_TRUE(contains(text(rejected.rows[0][2]), "HTML")) << text(rejected.rows[0][2]);
  fs::rename(folder / "photos/p01", folder / "photos/zoe");
  EXPECT_TRUE(torch::equal(all, embedded_again(third)));
  EXPECT_EQ(third.seen, 0);
  EXPECT_EQ(kept[31].id, "zoe/v0.png");
  EXPECT_EQ(rejected.rows.size(), 1u) << "said again";
  write_file(folder / "photos/zoe/v0.png", encode_png(draw_photo(7, 7)));
  const auto edited = embedded_again(fourth);
  EXPECT_EQ(fourth.seen, 32);
  EXPECT_FALSE(torch::equal(all[31], edited[31]));
  EXPECT_TRUE(torch::equal(all.narrow(0, 0, 31), edited.narrow(0, 0, 31)));
}

// Photos of three people, more of each than a piece of work has, with a recogniser that ships.
class Company : public ::testing::Test {
 protected:
  void SetUp() override {
    setenv("FACEPOISON_HOME", FACEPOISON_ROOT, 1);
    dataset_ = prepare_drawn(folder_.path, 3, 5);
  }
  void TearDown() override { unsetenv("FACEPOISON_HOME"); }

  std::vector<Photo> of(const std::vector<std::string>& people) const {
    std::vector<Photo> photos;
    for (const auto& person : people)
      for (const auto& photo : dataset_.photos)
        if (photo.person == person) photos.push_back(photo);
    return photos;
  }

  TempFolder folder_;
  Dataset dataset_;
};

// People are in the order of the draw, which also decides the batches.
TEST_F(Company, ChangesNoBitOfAnEmbedding) {
  const auto extractor = make_extractor("small-surrogate", {});
  const auto people = dataset_.people();
  ArtifactStore one(folder_ / "one"), two(folder_ / "two");
  const auto alone = embed(of({people[2]}), *extractor, {}, one);
  const auto together = embed(of({people[1], people[2], people[0]}), *extractor, {}, two);
  EXPECT_TRUE(torch::equal(alone, together.narrow(0, 5, 5)));
}

TEST_F(Company, ChangesNoPicture) {
  const auto people = dataset_.people();
  for (const Json& preset :
       {Json{{"preset", "noise"}}, Json{{"preset", "pgd"}, {"steps", 2}, {"surrogates", {"small-surrogate"}}},
        Json{{"preset", "fawkes-v0.3-low"}, {"steps", 2}, {"surrogates", {"small-surrogate"}}},
        Json{{"preset", "fawkes-v1.0-low"}, {"steps", 4}, {"surrogates", {"small-surrogate"}}},
        Json{{"preset", "lowkey-dssim"}, {"steps", 2}, {"surrogates", {"small-surrogate"}}}}) {
    const auto attack = make_attack(preset, {});
    ArtifactStore one(folder_ / concat("one-", preset["preset"].get<std::string>())),
        two(folder_ / concat("two-", preset["preset"].get<std::string>()));
    const auto alone = perturb(of({people[2]}), dataset_.photos, *attack, 3, {}, one);
    const auto together = perturb(of({people[1], people[2], people[0]}), dataset_.photos, *attack, 3, {}, two);
    for (std::size_t i = 0; i < 5; ++i) {
      EXPECT_EQ(alone.photos[i].sha256, together.photos[5 + i].sha256) << preset;
      EXPECT_NE(alone.photos[i].sha256, of({people[2]})[i].sha256) << "nothing was perturbed: this shows nothing";
    }
    // Protecting more people does not recompute a person's units.
    const auto made = two.misses();
    perturb(of({people[0], people[2]}), dataset_.photos, *attack, 3, {}, two);
    EXPECT_EQ(two.misses(), made) << preset;
  }
}

}  // namespace
}  // namespace facepoison::testing
