// TIP-IM: whom it aims at, and that the best target's picture stays.
#include "facepoison/attack.hpp"
#include "facepoison/quantise.hpp"
#include "facepoison/store.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

class TipIm : public ::testing::Test {
 protected:
  void SetUp() override { setenv("FACEPOISON_HOME", FACEPOISON_ROOT, 1); }
  void TearDown() override { unsetenv("FACEPOISON_HOME"); }

  std::shared_ptr<const Attack> make(Json extra = Json::object()) {
    Json request = {{"preset", "tip-im"}, {"surrogates", {card_.string()}}};
    request.update(extra);
    return make_attack(request, {});
  }

  torch::Tensor embed(Faces faces, const torch::Tensor& pixels) const {
    faces.pixels = pixels;
    const auto raw = make_extractor(card_.string(), {})->embed(faces);
    return raw / raw.norm(2, 1, true);
  }

  // By the definition, for one target for each photo in each of `targets`.
  torch::Tensor gain(const Faces& faces, const torch::Tensor& pixels, const std::vector<Faces>& targets) const {
    const auto here = embed(faces, pixels), own = embed(faces, faces.pixels);
    std::vector<torch::Tensor> closer;
    for (const auto& target : targets)
      closer.push_back(((here - own).norm(2, 1) - (here - embed(target, target.pixels)).norm(2, 1)).exp());
    return (1 + std::get<0>(torch::stack(closer).max(0))).log();
  }

  // The ids of each photo's companions, sorted.
  std::vector<std::vector<std::string>> companions_of(const Attack& attack, const std::vector<Photo>& album,
                                                      const std::vector<Photo>& everybody, Seed seed = 0) {
    const ArtifactStore store(folder_ / "store");
    std::vector<std::size_t> rows(album.size());
    for (std::size_t row = 0; row < rows.size(); ++row) rows[row] = row;
    const auto found = attack.companions(StagedPhotos(album), everybody, seed, {})->read(store)(rows);
    std::vector<std::vector<std::string>> people;
    const auto each = found.ids.size() / album.size();
    for (std::size_t n = 0; n < found.ids.size(); n += each) {
      people.emplace_back(found.ids.begin() + static_cast<std::ptrdiff_t>(n),
                          found.ids.begin() + static_cast<std::ptrdiff_t>(n + each));
      std::sort(people.back().begin(), people.back().end());
    }
    return people;
  }

  TempFolder folder_;
  fs::path card_ = write_tiny_extractor(folder_.path);
};

TEST_F(TipIm, KeepsTheBestTargetOfEachPhoto) {
  const Faces faces = drawn_faces(4, 48, false);
  Faces near = faces, far = faces;
  near.pixels = faces.pixels.flip(3);
  far.pixels = torch::cat({to_tensor(draw_photo(7, 0)), to_tensor(draw_photo(8, 0))}).repeat({2, 1, 1, 1});
  Faces both;
  both.pixels = torch::stack({near.pixels, far.pixels}, 1).flatten(0, 1);
  for (const auto& id : faces.ids) both.ids.insert(both.ids.end(), 2, id);
  both.people.assign(8, "x");
  const auto attack = make({{"steps", 1}, {"projective_input", false}});
  const auto out = attack->perturb(faces, 0, both), to_near = attack->perturb(faces, 0, near),
             to_far = attack->perturb(faces, 0, far);
  ASSERT_FALSE(torch::equal(to_near.pixels, to_far.pixels));
  const auto of_near = gain(faces, to_near.pixels, {near, far}), of_far = gain(faces, to_far.pixels, {near, far});
  for (std::int64_t n = 0; n < 4; ++n) {
    const bool is_near = of_near[n].item<float>() > of_far[n].item<float>();
    EXPECT_TRUE(torch::equal(out.pixels[n], (is_near ? to_near : to_far).pixels[n])) << n;
    EXPECT_NEAR(out.own_measure[static_cast<std::size_t>(n)], (is_near ? of_near : of_far)[n].item<float>(), 1e-5);
  }
}

TEST_F(TipIm, ComesNearerWithinItsBound) {
  const Faces faces = drawn_faces(4, 48, false);
  Faces targets = faces;
  targets.pixels = torch::cat({to_tensor(draw_photo(7, 0)), to_tensor(draw_photo(8, 0))}).repeat({2, 1, 1, 1});
  for (const bool projective : {false, true}) {
    const auto out = make({{"steps", 20}, {"projective_input", projective}})->perturb(faces, 0, targets);
    const auto before = gain(faces, faces.pixels, {targets}), after = gain(faces, out.pixels, {targets});
    EXPECT_TRUE((after > before).all().item<bool>()) << projective;
    const auto change = (out.pixels - faces.pixels).abs().max().item<double>() * 255;
    EXPECT_LE(change, 12.01);
    EXPECT_GT(change, 4);
    EXPECT_EQ(out.iterations, std::vector<std::int64_t>(4, 20));
  }
}

TEST_F(TipIm, AimsAtOthersWhateverTheRestOfTheAlbum) {
  const auto everybody = prepare_drawn(folder_ / "people", 5, 4).photos;
  std::vector<Photo> album, shorter;
  std::set<std::string> test_photos;
  for (const auto& photo : everybody) {
    if (photo.test()) test_photos.insert(photo.id);
    if (photo.person < "p02") album.push_back(photo);
    if (photo.person == "p01" && shorter.empty()) shorter.push_back(photo);
  }
  ASSERT_FALSE(test_photos.empty());
  const auto all = make();
  const auto chosen = companions_of(*all, album, everybody);
  for (std::size_t n = 0; n < album.size(); ++n) {
    std::set<std::string> people;
    for (const auto& id : chosen[n]) {
      people.insert(id.substr(0, 3));
      EXPECT_FALSE(test_photos.count(id)) << id;
    }
    EXPECT_EQ(chosen[n].size(), 4u) << "each of the other people once";
    EXPECT_EQ(people.size(), 4u);
    EXPECT_FALSE(people.count(album[n].person));
    EXPECT_EQ(chosen[n], chosen[album[n].person == "p00" ? 0 : album.size() - 1]);
  }
  EXPECT_EQ(companions_of(*all, shorter, everybody).front(), chosen.back());
  const auto two = make({{"target_people", 2}});
  std::set<std::vector<std::string>> seen;
  for (Seed seed = 0; seed < 6; ++seed) {
    seen.insert(companions_of(*two, shorter, everybody, seed).front());
    EXPECT_EQ(seen.begin()->size(), 2u);
  }
  EXPECT_GT(seen.size(), 1u) << "the seed decides";
}

TEST_F(TipIm, NeedsSomebodyElse) {
  auto alone = prepare_drawn(folder_ / "people", 2, 3).photos;
  std::erase_if(alone, [](const Photo& photo) { return photo.person != "p00"; });
  const auto attack = make();
  const auto error = caught([&] { attack->companions(StagedPhotos(alone), alone, 0, {}); });
  EXPECT_EQ(error.code, Exit::input);
  EXPECT_TRUE(contains(error.message, "\"targets\"")) << error.message;
}

}  // namespace
}  // namespace facepoison::testing
