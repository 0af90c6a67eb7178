// Purifiers: what their training minimises and learns, the transform, and the cloak detector made from one.
#include "training/purifier.hpp"

#include "facepoison/npy.hpp"
#include "facepoison/seen.hpp"
#include "facepoison/transform.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

Faces faces_of_pixels(const torch::Tensor& pixels) {
  Faces faces;
  faces.pixels = pixels;
  return faces;
}

TEST(PurifierLoss, IsTheMeanDifferenceOfPixelsAndOneMinusTheCosinesOfEmbeddings) {
  const TempFolder folder;
  const auto extractor = make_extractor(write_tiny_extractor(folder.path).string(), {});
  auto clean = torch::full({2, 3, 24, 24}, 0.5), pictures = clean.clone();
  pictures[0] += 0.25;
  pictures[1].narrow(1, 0, 12) -= 0.1;  // the upper half
  const auto found = differences(pictures, faces_of_pixels(clean), {extractor});
  ASSERT_EQ(found.sizes(), (std::vector<std::int64_t>{2, 2}));
  EXPECT_NEAR(found[0][0].item<double>(), 0.25, 1e-6);
  EXPECT_NEAR(found[0][1].item<double>(), 0.05, 1e-6);
  const auto embed = [&](const torch::Tensor& some) { return extractor->embed(faces_of_pixels(some)); };
  const auto cosines = at::cosine_similarity(embed(pictures), embed(clean), 1);
  EXPECT_GT(found[1].max().item<double>(), 1e-4) << "or the next line says little";
  EXPECT_LT((found[1] - (1 - cosines)).abs().max().item<double>(), 1e-6);
  const auto wanted = 0.15 + 3 * (1 - cosines).mean().item<double>();
  EXPECT_NEAR(purifier_loss(found, 3).item<double>(), wanted, 1e-5);
  EXPECT_NEAR(purifier_loss(differences(pictures, faces_of_pixels(clean), {}), 3).item<double>(), 0.15, 1e-6);
  EXPECT_EQ(purifier_loss(differences(clean, faces_of_pixels(clean), {}), 3).item<double>(), 0);
}

TEST(PurifierLoss, PerturbationsAreAmplifiedOnceToTwice) {
  const auto photos = torch::full({4, 3, 8, 8}, 0.5), twins = photos + 0.1, strong = photos + 0.4;
  const auto out = amplified(photos, twins, 1, 7);
  const auto factors = (out - photos).amax({1, 2, 3}) / 0.1;
  EXPECT_LT(((out - photos) - (out - photos).amax({1, 2, 3}, true)).abs().max().item<double>(), 1e-6)
      << "one factor a photo";
  EXPECT_GE(factors.min().item<double>(), 1 - 1e-5);
  EXPECT_LE(factors.max().item<double>(), 2 + 1e-5);
  EXPECT_GT(factors.max().item<double>() - factors.min().item<double>(), 0.01);
  EXPECT_TRUE(torch::equal(out, amplified(photos, twins, 1, 7)));
  EXPECT_FALSE(torch::equal(out, amplified(photos, twins, 1, 8)));
  EXPECT_TRUE(torch::equal(amplified(photos, photos, 1, 7), photos));
  EXPECT_EQ(amplified(photos, strong, 1, 7).max().item<double>(), 1) << "still a picture";
}

TEST(Hardest, IsThePhotosViewWithTheHighestLoss) {
  const auto views = torch::arange(2 * 3, torch::kFloat32).view({2, 3, 1, 1, 1});
  const auto losses = torch::tensor({{1.0f, 5.0f, 2.0f}, {4.0f, 3.0f, 2.5f}});
  const auto chosen = hardest({views[0], views[1]}, losses);
  EXPECT_TRUE(torch::equal(chosen.flatten(), torch::tensor({3.0f, 1.0f, 5.0f})));
}

class PurifierTraining : public ::testing::Test {
 protected:
  void SetUp() override {
    prepare_drawn(folder_.path, 6, 4);
    write_tiny_extractor(folder_.path);
    write_tiny_purifier(folder_.path, 0, 48, "fresh");
  }
  TrainingConfig read(const Json& changes = Json::object()) {
    Json config = {{"task", "purifier"},
                   {"start", "./fresh.json"},
                   {"dataset", "dataset"},
                   {"held_out", 2},
                   {"twins", {{{"preset", "noise"}, {"name", "loud"}, {"epsilon", 0.1}}}},
                   {"features", {"./tiny.json"}},
                   {"batch", {{"people", 3}, {"photos", 4}}},
                   {"steps", 100},
                   {"rate", 0.05},
                   {"check_every", 10}};
    config.update(changes);
    for (const auto& [key, value] : changes.items())
      if (value.is_null()) config.erase(key);
    write_file(folder_ / "x.json", config.dump());
    ArtifactStore store(folder_ / "store");
    return read_training(folder_ / "x.json", {}, false, {}, store);
  }
  void run(const Json& changes = Json::object()) {
    ArtifactStore store(folder_ / "store");
    train(read(changes), folder_ / "out", store);
  }
  TempFolder folder_;
};

TEST_F(PurifierTraining, AStartWithoutAResidualChangesNothing) {
  const auto c = read();
  ArtifactStore store(folder_ / "store");
  const auto held_out = load_photos(c, c.data.held_out, true, store);
  Trainee trainee(c);
  const auto before = purity_before(c, held_out), after = purity_after(c, held_out, trainee);
  EXPECT_GT(before.twins[0].item<double>(), 0.05);
  EXPECT_EQ(before.photos[0].item<double>(), 0);
  EXPECT_TRUE(torch::allclose(before.twins, after.twins));
  EXPECT_TRUE(torch::allclose(before.photos, after.photos));
  EXPECT_NEAR(loss_of(before, 2), (before.twins[0] + 2 * before.twins[1]).item<double>(), 1e-6);
}

TEST_F(PurifierTraining, ItLearnsToTakePerturbationsAwayAndToLeavePhotosAlone) {
  run();
  const Json held_out = read_json(folder_ / "out/training/x.json")["held_out"];
  const auto number = [&](const char* when, const char* of) { return held_out[when][of]["difference"].get<double>(); };
  EXPECT_LT(number("after", "twins"), 0.8 * number("before", "twins")) << held_out;
  EXPECT_LT(number("after", "photos"), 0.3 * number("before", "twins")) << held_out;
  EXPECT_TRUE(held_out["after"]["twins"]["cosine"].contains("tiny")) << held_out;
  EXPECT_EQ(read_csv(folder_ / "out/training/x.csv").columns.back(), "held_out_loss");
  const Card card = read_card((folder_ / "out/x.json").string(), {Task::purifier});
  EXPECT_EQ(card.trained_against, std::vector<std::string>{"loud"});
  EXPECT_EQ(card.dimension, 3 * 48 * 48);
  EXPECT_EQ(read_npy(card.golden).numel(), card.dimension);
  EXPECT_EQ(trainings_of(card).front().people.size(), 6u) << "those held out chose the step";
  const Canvas photo{draw_photo(1, 0), {}};
  const auto out =
      (*make_transform({{"transform", "purifier"}, {"card", (folder_ / "out/x.json").string()}}))(photo, 0, "p/a");
  EXPECT_EQ(out.image.width, 48);
  EXPECT_NE(out.image.rgb, photo.image.rgb);
}

TEST_F(PurifierTraining, WhatIsWrongIsNamed) {
  const Json quiet = {{"preset", "noise"}, {"epsilon", 1e-4}};  // less than a grey level
  write_tiny_purifier(folder_.path, 0, 64, "larger");
  for (const auto& [changes, code, word] : std::vector<std::tuple<Json, Exit, std::string>>{
           {{{"twins", Json::array()}}, Exit::usage, "a purifier learns from photos and their twins"},
           {{{"held_out", 0}}, Exit::usage, "best step is chosen on held-out people"},
           {{{"batch", {{"people", 3}, {"photos", 3}}}}, Exit::usage, "half of a purifier's batch"},
           {{{"loss", {{"kind", "arcface"}}}}, Exit::usage, "key \"loss\": unknown key"},
           {{{"augmentation", Json::object()}}, Exit::usage, "learns from photos as they are"},
           {{{"keep", 1}}, Exit::usage, "only for the training of a recogniser"},
           {{{"features", {"nobody"}}}, Exit::usage, "no extractor \"nobody\""},
           {{{"start", "./larger.json"}}, Exit::usage, "expected 48×48, the data set's canvas"},
           {{{"start", "./tiny.json"}}, Exit::model, "expected a purifier"},
           {{{"twins", {quiet}}}, Exit::input, "are all identical to their photos"},
           {{{"task", "recogniser"}, {"loss", {{"kind", "arcface"}}}}, Exit::model, "fresh is a purifier"}}) {
    const auto found = caught([&, c = changes] { run(c); });
    EXPECT_EQ(found.code, code) << changes << found.message;
    EXPECT_TRUE(contains(found.message, word)) << changes << found.message;
    EXPECT_FALSE(fs::exists(folder_ / "out/x.json")) << changes;
  }
}

TEST_F(PurifierTraining, ItsResidualTellsPerturbedPhotos) {
  write_tiny_purifier(folder_.path, 0.5, 48, "purifier");
  Json quiet;
  for (const auto* key : {"scale", "rotate", "shift", "light", "colour", "grey", "blur", "noise", "jpeg", "erase"})
    quiet[key] = 0;
  run({{"task", "cloak-detector"},
       {"start", "./purifier.json"},
       {"frozen", {"purifier."}},
       {"features", nullptr},
       {"loss", {{"kind", "cloaked"}}},
       {"augmentation", quiet},
       {"rate", 0.1},
       {"steps", 150}});
  const auto detector = make_cloak_detector((folder_ / "out/x.json").string(), {});
  EXPECT_EQ(detector->card().dimension, 1);
  const torch::NoGradGuard no_grad;
  auto faces = drawn_faces(4, 48, false);
  const auto clean = detector->embed(faces);
  faces.pixels = (faces.pixels + 0.1 * torch::randn_like(faces.pixels).sign()).clamp(0, 1);
  EXPECT_GT((detector->embed(faces) - clean).min().item<float>(), 0) << "the logit of \"was perturbed\"";
  const auto weight_of = [&](const std::string& file, const std::string& name) {
    for (const auto& parameter : torch::jit::load((folder_ / file).string()).named_parameters())
      if (parameter.name.ends_with(name)) return parameter.value.flatten();
    return torch::Tensor();
  };
  EXPECT_TRUE(torch::equal(weight_of("out/x.pt", "purifier.weight"), weight_of("purifier.pt", "weight"))) << "frozen";
  EXPECT_NE(weight_of("out/x.pt", "scale").item<float>(), 1);
}

class PurifierTransform : public ::testing::Test {
 protected:
  static std::shared_ptr<const Transform> make(const fs::path& card) {
    return make_transform({{"transform", "purifier"}, {"card", card.string()}});
  }
  fs::path changed(const Json& changes) {
    Json card = read_json(write_tiny_purifier(folder_.path, 0.5));
    card.update(changes);
    write_file(folder_ / "changed.json", card.dump());
    return folder_ / "changed.json";
  }
  // A network with this body, as a purifier.
  fs::path with_code(const std::string& body) {
    torch::jit::Module module("net");
    module.define("def forward(self, x):\n" + body);
    module.save((folder_ / "code.pt").string());
    return changed({{"file", "./code.pt"}, {"sha256", sha256_of_file(folder_ / "code.pt")}});
  }
  TempFolder folder_;
  const Canvas photo_{draw_photo(3, 0, 64), canvas_landmarks()};
};

TEST_F(PurifierTransform, IsTheNetworksPictureRoundedToEightBits) {
  const auto none = (*make(write_tiny_purifier(folder_.path, 0, 48, "none")))(photo_, 0, "p/a");
  EXPECT_EQ(none.image.rgb, photo_.image.rgb);
  const auto half = (*make(write_tiny_purifier(folder_.path, 0.5, 48, "half")))(photo_, 0, "p/a");
  const torch::NoGradGuard no_grad;
  auto network = torch::jit::load((folder_ / "half.pt").string());
  const auto wanted = to_image(network.forward({to_tensor(photo_.image)}).toTensor());
  int most = 0;
  for (std::size_t i = 0; i < wanted.rgb.size(); ++i)
    most = std::max(most, std::abs(int{wanted.rgb[i]} - int{half.image.rgb[i]}));
  EXPECT_LE(most, 1) << "of another size than the card's, too";
  EXPECT_NE(half.image.rgb, photo_.image.rgb);
  EXPECT_EQ(half.landmarks, photo_.landmarks);
}

TEST_F(PurifierTransform, ItsIdentityIsTheWeightsAndNotThePath) {
  const auto here = make(write_tiny_purifier(folder_ / "a", 0.5)),
             there = make(write_tiny_purifier(folder_ / "b", 0.5)),
             other = make(write_tiny_purifier(folder_ / "c", 0.4));
  EXPECT_EQ(here->identity(), there->identity());
  EXPECT_NE(here->identity(), other->identity());
  EXPECT_FALSE(contains(here->identity().dump(), folder_.path.string()));
  const auto chain = make_transform(
      {{"chain", {"grey", {{"transform", "purifier"}, {"card", (folder_ / "a/purifier.json").string()}}}}});
  EXPECT_EQ(chain->name(), "grey+purifier-purifier");
  ASSERT_EQ(chain->cards().size(), 1u);
  EXPECT_EQ(chain->cards().front().path, folder_ / "a/purifier.json");
}

TEST_F(PurifierTransform, PathsOfAConfigAreFromItsFolder) {
  Json wanted = {{"chain", {"grey", {{"transform", "purifier"}, {"card", "../x.json"}}}}};
  anchor_transform(wanted, "/a/b");
  EXPECT_EQ(wanted["chain"][1]["card"], "/a/x.json");
  Json named = {{"transform", "purifier"}, {"card", "small-purifier"}};
  anchor_transform(named, "/a/b");
  EXPECT_EQ(named["card"], "small-purifier");
}

TEST_F(PurifierTransform, SaysWhatIsWrong) {
  const auto expect = [&](const fs::path& card, Exit code, const std::string& word) {
    const auto found = caught([&] { (*make(card))(photo_, 0, "p/a"); });
    EXPECT_EQ(found.code, code) << found.message;
    EXPECT_TRUE(contains(found.message, word)) << found.message;
  };
  expect("nobody", Exit::usage, "no purifier \"nobody\"");
  expect(write_tiny_extractor(folder_.path), Exit::model, "tiny is a recogniser");
  expect(changed({{"sha256", std::string(64, '0')}}), Exit::model, "expected 0000");
  expect(changed({{"method", "purify"}}), Exit::model, "the network failed");
  Json input = read_json(folder_ / "purifier.json")["input"];
  input["scale"] = 255;
  expect(changed({{"input", input}}), Exit::usage, "takes pictures as they are");
  expect(with_code("  return x[:, :, 1:, :]\n"), Exit::model, "the network returned the shape");
  expect(with_code("  return x / 0.0\n"), Exit::model, "numbers that are not finite");
  expect(changed({{"file", "./code.pt"}, {"sha256", ""}}), Exit::model, "its sha256 is neither on its card");
}

}  // namespace
}  // namespace facepoison::testing
