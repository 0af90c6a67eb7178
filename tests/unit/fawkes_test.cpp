// The parts of Fawkes against TensorFlow's and Keras's own numbers (tests/reference/fixtures), v0.3's targets, and
// photos that leave a batch.
#include "attacks/fawkes.hpp"
#include "attacks/search.hpp"
#include <numeric>

#include "facepoison/digests.hpp"
#include "facepoison/npy.hpp"
#include "facepoison/dssim.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

torch::Tensor fixture(const std::string& name) {
  return read_npy(fs::path(FACEPOISON_ROOT) / "tests/reference/fixtures" / (name + ".npy"));
}

TEST(FawkesParts, DssimIsTensorflows) {
  const auto pairs = fixture("dssim-pairs"), expected = fixture("dssim"), slopes = fixture("dssim-gradient");
  for (std::int64_t i = 0; i < pairs.size(0); ++i) {
    const auto a = pairs[i][0].unsqueeze(0).clone().requires_grad_(true), b = pairs[i][1].unsqueeze(0);
    const auto found = dssim(a, b);
    EXPECT_NEAR(found.item<double>(), expected.flatten()[i].item<double>(), 1e-5);
    EXPECT_TRUE(at::allclose(gradient(found.sum(), a)[0], slopes[i], 1e-3, 2e-6));
  }
}

TEST(FawkesParts, AdadeltaIsKerassAndTensorflows) {
  const auto start = fixture("adadelta-start"), slopes = fixture("adadelta-gradients");
  for (const bool keras : {true, false}) {
    const auto expected = fixture(keras ? "adadelta-keras" : "adadelta-tf1");
    auto parameter = start.clone();
    Adadelta adadelta(parameter);
    double rate = keras ? 15 : 10;
    for (std::int64_t i = 0; i < slopes.size(0); ++i) {
      parameter = parameter - rate * adadelta.step(slopes[i], keras ? 1e-7 : 1e-8);
      EXPECT_TRUE(at::allclose(parameter, expected[i], 1e-5, 1e-7)) << "step " << i;
      if (!keras) rate *= 0.8;
    }
  }
}

TEST(FawkesParts, TanhSpaceHoldsEveryGreyLevel) {
  const auto levels = torch::arange(256, torch::kFloat32).div(255).view({1, 1, 16, 16});
  EXPECT_LT((from_tanh(to_tanh(levels)) - levels).abs().max().item<float>(), 1e-4);
}

TEST(FawkesSearch, KeepsTheBestFeasibleAndLetsThePatientOnesGo) {
  const auto pixels = torch::zeros({3, 3, 2, 2});
  Search search(pixels, 2);
  auto state = torch::arange(3, torch::kFloat32);
  const auto picture = [](std::vector<float> values) {
    return torch::tensor(values).view({-1, 1, 1, 1}).expand({-1, 3, 2, 2}).contiguous();
  };
  const auto some = torch::zeros({3});
  search.note(some, some, some);
  search.offer(0, picture({.1f, .2f, .3f}), torch::tensor({1.f, 1.f, 1.f}), torch::tensor({true, true, false}));
  EXPECT_TRUE(search.go_on(1, {&state}));
  search.note(torch::tensor({0.f, std::nanf(""), 0.f}), some, some);  // the second photo breaks down
  search.offer(1, picture({.4f, .5f, .6f}), torch::tensor({.5f, std::nanf(""), 2.f}),
               torch::tensor({true, true, true}));
  EXPECT_TRUE(search.go_on(2, {&state}));
  EXPECT_TRUE(torch::equal(search.here, torch::tensor({2}, torch::kInt64)))
      << "the first photo's best is two steps old";
  EXPECT_TRUE(torch::equal(state, torch::tensor({2.f})));
  const auto one = torch::zeros({1});
  search.note(one, one, one);
  search.offer(2, picture({.7f}), torch::tensor({3.f}), torch::tensor({true}));
  EXPECT_TRUE(search.go_on(3, {&state}));
  search.note(one / 0, one, one);
  EXPECT_FALSE(search.go_on(4, {&state})) << "nobody is left";
  EXPECT_TRUE(torch::equal(search.pictures.select(1, 0).select(1, 0).select(1, 0), torch::tensor({.1f, .2f, .7f})));
  EXPECT_EQ(search.iterations(), (std::vector<std::int64_t>{2, 2, 4}));
  const auto trace = search.trace();
  EXPECT_EQ(trace.sizes(), (std::vector<std::int64_t>{4, 3, 3}));
  EXPECT_TRUE(trace[2][1].isnan().all().item<bool>());
}

// An album of "me" at the origin; thirty others, each two photos at a distance of their number.
struct Crowd {
  std::vector<Photo> album, everybody;
  Crowd() {
    for (int i = 0; i < 3; ++i) album.push_back(photo("me", i));
    everybody = album;
    for (int person = 1; person <= 30; ++person)
      for (int i = 0; i < 2; ++i) everybody.push_back(photo(concat(person < 10 ? "p0" : "p", person), i));
    everybody.back().split = Split::test;  // test photos are never targets
  }
  static Photo photo(const std::string& person, int i) {
    return Photo{.id = concat(person, "/", i), .person = person, .split = Split::train};
  }
};

// Embeds somebody called p07 at 7.
class ByNumber final : public EmbeddingStage {
 public:
  explicit ByNumber(StagedPhotos photos) : EmbeddingStage("by number", "", 1), photos_(std::move(photos)) {
    add_units_by_person(photos_.list(), photos_.list().size());
  }
  Json key(const Unit& unit) const override { return photos_.of(unit).front().person; }
  std::any decode(const Rows&) const override { return {}; }
  std::vector<std::any> compute(const Rows&, std::any) override { return {}; }
  void write(const Unit&, std::vector<std::any>, const fs::path&) const override {}
  torch::Tensor read(const ArtifactStore&) const override {
    const auto& photos = photos_.list();
    auto rows = torch::zeros({static_cast<std::int64_t>(photos.size()), 2});
    for (std::size_t i = 0; i < photos.size(); ++i)
      if (photos[i].person != "me") rows[static_cast<std::int64_t>(i)][0] = std::stod(photos[i].person.substr(1));
    return rows;
  }

 private:
  StagedPhotos photos_;
};

class FawkesTargets : public ::testing::Test {
 protected:
  void SetUp() override { setenv("FACEPOISON_HOME", FACEPOISON_ROOT, 1); }
  void TearDown() override { unsetenv("FACEPOISON_HOME"); }
  struct Chosen {
    std::string id, person;
  };
  // The target photo of each photo of the album. All photos show the same picture.
  std::vector<Chosen> choose(Seed seed, Json extra = Json::object(), Crowd crowd = {}) {
    const fs::path picture = folder_ / "picture.png";
    write_file(picture, encode_png(draw_photo(1, 1)));
    for (auto* photos : {&crowd.album, &crowd.everybody})
      for (auto& photo : *photos) photo.path = picture, photo.sha256 = sha256_of_file(picture);
    Json request = {{"preset", "fawkes-v0.3-low"}, {"surrogates", {write_tiny_extractor(folder_.path).string()}}};
    request.update(extra);
    ArtifactStore store(folder_ / "store");
    const auto attack = make_attack(request, {});
    const auto by_number = [](StagedPhotos photos, const auto&) {
      return std::make_shared<ByNumber>(std::move(photos));
    };
    const auto companions = attack->companions(StagedPhotos(crowd.album), crowd.everybody, seed, by_number);
    std::vector<std::size_t> rows(crowd.album.size());
    std::iota(rows.begin(), rows.end(), 0);
    const auto faces = companions->read(store)(rows);
    std::vector<Chosen> chosen;
    for (std::size_t n = 0; n < rows.size(); ++n) chosen.push_back({faces.ids[n], faces.people[n]});
    return chosen;
  }
  TempFolder folder_;
};

TEST_F(FawkesTargets, AreOneOfTheFarthestTenthForTheWholeAlbum) {
  std::set<std::string> seen;
  for (Seed seed = 0; seed < 20; ++seed) {
    const auto chosen = choose(seed);
    ASSERT_EQ(chosen.size(), 3u);
    for (const auto& photo : chosen) {
      EXPECT_EQ(photo.person, chosen.front().person);
      EXPECT_NE(photo.id, Crowd().everybody.back().id) << "a test photo";
    }
    seen.insert(chosen.front().person);
  }
  EXPECT_EQ(seen, (std::set<std::string>{"p28", "p29", "p30"}));
}

TEST_F(FawkesTargets, AreDrawnAgainForEachPhotoWhereAsked) {
  std::set<std::string> seen;
  for (Seed seed = 0; seed < 5; ++seed)
    for (const auto& photo : choose(seed, {{"target_per", "photo"}})) seen.insert(photo.person);
  EXPECT_GT(seen.size(), 1u);
}

TEST_F(FawkesTargets, ArePhotosOwnNotTheirPlacesInTheAlbum) {
  for (const auto* per : {"photo", "album"}) {
    Crowd crowd, shorter;
    shorter.album.erase(shorter.album.begin());
    bool varied = false;
    for (Seed seed = 0; seed < 8; ++seed) {
      const auto all = choose(seed, {{"target_per", per}}, crowd), rest = choose(seed, {{"target_per", per}}, shorter);
      ASSERT_EQ(rest.size() + 1, all.size());
      for (std::size_t i = 0; i < rest.size(); ++i) EXPECT_EQ(rest[i].id, all[i + 1].id) << per;
      varied = varied || all[1].id != all[2].id;
    }
    EXPECT_TRUE(varied) << per;
  }
}

TEST_F(FawkesTargets, NeedSomebodyElse) {
  Crowd alone;
  alone.everybody = alone.album;
  const auto error = caught([&] { choose(0, Json::object(), alone); });
  EXPECT_EQ(error.code, Exit::input);
  EXPECT_TRUE(contains(error.message, "\"targets\"")) << error.message;
}

TEST(FawkesV10, KeepsTheCleanPhotoWhereNothingIsFeasible) {
  setenv("FACEPOISON_HOME", FACEPOISON_ROOT, 1);
  const TempFolder folder;
  const Faces faces = drawn_faces(2, 48, false);
  // The start already exceeds the budget, and there is no rescue.
  const auto attack = make_attack({{"preset", "fawkes-v1.0-low"},
                                   {"surrogates", {write_tiny_extractor(folder.path).string()}},
                                   {"steps", 1},
                                   {"start_size", 0.5},
                                   {"clip", 255},
                                   {"rescue", false}},
                                  {});
  const auto out = attack->perturb(faces, 0);
  EXPECT_EQ(out.status, (std::vector{Status::infeasible, Status::infeasible}));
  EXPECT_TRUE(torch::equal(out.pixels, faces.pixels));
  unsetenv("FACEPOISON_HOME");
}

TEST(FawkesV10, SetsOutInFloat32) {
  setenv("FACEPOISON_HOME", FACEPOISON_ROOT, 1);
  const TempFolder folder;
  const Faces faces = drawn_faces(2, 48, false);
  const auto card = write_tiny_extractor(folder.path).string();
  const auto after_one_step = [&](const std::string& precision, int exact_steps) {
    const Json request = {
        {"preset", "fawkes-v1.0-high"}, {"surrogates", {card}}, {"steps", 2}, {"exact_steps", exact_steps}};
    return make_attack(request, run_options("cpu", precision, false))->perturb(faces, 0).pixels;
  };
  const auto expected = after_one_step("fp32", 0);
  const auto agreement = [&](int exact_steps) {
    return (after_one_step("bf16", exact_steps) == expected).to(torch::kFloat32).mean().item<double>();
  };
  EXPECT_GT(agreement(1), 0.99);
  EXPECT_LT(agreement(0), 0.9) << "bf16 alone sees where to go, so that exact_steps is not needed";
  unsetenv("FACEPOISON_HOME");
}

TEST(FawkesV10, KeepsItsPromiseInTheWrittenPixels) {
  setenv("FACEPOISON_HOME", FACEPOISON_ROOT, 1);
  const TempFolder folder;
  const Faces faces = drawn_faces(4, 64, false);
  const auto attack =
      make_attack({{"preset", "fawkes-v1.0-mid"}, {"surrogates", {write_tiny_extractor(folder.path).string()}}}, {});
  const auto out = attack->perturb(faces, 0);
  const auto change = (out.pixels - faces.pixels).abs().max().item<double>() * 255;
  EXPECT_LE(change, 16.01) << "15 grey levels, and one of rounding";
  EXPECT_GT(change, 2);
  EXPECT_LE(dssim(out.pixels, faces.pixels).max().item<double>(), 1.02 * 1.1 * 0.012);
  EXPECT_EQ(out.own_measure.size(), 4u);
  for (const double measure : out.own_measure) EXPECT_GT(measure, 0);
  unsetenv("FACEPOISON_HOME");
}

}  // namespace
}  // namespace facepoison::testing
