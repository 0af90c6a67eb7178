// Training on photos and their perturbed twins: the draw, the decoding, the learning.
#include <torch/serialize/archive.h>

#include "facepoison/home.hpp"
#include "support/support.hpp"
#include "training/fit.hpp"
#include "training/photos.hpp"
#include "training/trainee.hpp"

namespace facepoison::testing {
namespace {

// Four people with five photos each; two twins of every photo.
TrainingPhotos known_photos() {
  TrainingPhotos known;
  known.versions = 3;
  known.clean_versions = 1;
  for (std::int64_t person = 0; person < 4; ++person) {
    auto& rows = known.rows.emplace_back();
    for (int k = 0; k < 5; ++k) {
      rows.push_back(known.photos());
      known.labels.push_back(person);
    }
  }
  return known;
}

TrainingConfig batches(std::size_t people, std::size_t photos) {
  TrainingConfig config;
  config.recipe.people_per_batch = people;
  config.recipe.photos_per_person = photos;
  return config;
}

double share_of_twins(const TrainingConfig& config, const TrainingPhotos& known) {
  double twins = 0, all = 0;
  for (std::int64_t step = 0; step < 500; ++step)
    for (const auto row : draw_rows(config, known, step).rows) twins += row >= known.photos(), ++all;
  return twins / all;
}

TEST(Twins, AreDrawnLikePhotosUnlessAShareIsGiven) {
  const auto known = known_photos();
  auto config = batches(4, 4);
  EXPECT_NEAR(share_of_twins(config, known), 2.0 / 3, 0.02);
  for (const double share : {0.0, 0.25, 1.0}) {
    config.recipe.twin_share = share;
    EXPECT_NEAR(share_of_twins(config, known), share, 0.02);
  }
}

TEST(Twins, FollowTheirOwnPhotoInPairs) {
  const auto known = known_photos();
  auto config = batches(3, 4);
  config.recipe.pair = 1;
  const auto draw = draw_rows(config, known, 7);
  ASSERT_EQ(draw.rows.size(), 12u);
  for (std::size_t i = 0; i < draw.rows.size(); i += 2) {
    EXPECT_LT(draw.rows[i], known.photos());
    EXPECT_GE(draw.rows[i + 1], known.photos());
    EXPECT_EQ(draw.rows[i + 1] % known.photos(), draw.rows[i]);
    EXPECT_EQ(draw.labels[i], known.labels[static_cast<std::size_t>(draw.rows[i])]);
    EXPECT_EQ(draw.labels[i + 1], draw.labels[i]);
  }
}

// A cloak detector's: two clean versions, as they are and through a transform, and two attacks' twins of each.
TEST(Twins, OfACloakDetectorWentThroughTheSameAsTheirPhotos) {
  auto known = known_photos();
  known.versions = 6;
  known.clean_versions = 2;
  auto config = batches(4, 4);
  config.task = Task::cloak_detector;
  std::set<std::int64_t> versions;
  for (std::int64_t step = 0; step < 40; ++step) {
    const auto draw = draw_rows(config, known, step);
    ASSERT_EQ(draw.rows.size(), 16u);
    for (std::size_t i = 0; i < draw.rows.size(); i += 2) {
      const auto clean = draw.rows[i] / known.photos(), twin = draw.rows[i + 1] / known.photos();
      EXPECT_EQ(draw.rows[i] % known.photos(), draw.rows[i + 1] % known.photos()) << "the same photo";
      EXPECT_LT(clean, 2);
      EXPECT_EQ((twin - 2) % 2, clean) << "through the same";
      EXPECT_EQ(draw.labels[i], 0);
      EXPECT_EQ(draw.labels[i + 1], 1);
      versions.insert({clean, twin});
    }
  }
  EXPECT_EQ(versions.size(), 6u);
}

TEST(Twins, WhoHasNoneIsDrawnCleanAlone) {
  auto known = known_photos();
  known.without_twins = {2};
  const auto config = batches(4, 8);
  int drawn = 0;
  for (std::int64_t step = 0; step < 20; ++step) {
    const auto draw = draw_rows(config, known, step);
    for (std::size_t i = 0; i < draw.rows.size(); ++i) {
      if (draw.labels[i] != 2) continue;
      ++drawn;
      EXPECT_LT(draw.rows[i], known.photos());
    }
  }
  EXPECT_GT(drawn, 0);
}

TEST(HeldOut, TheThresholdIsWhereMostAreToldApart) {
  EXPECT_EQ(best_threshold({{0.1, 0.2, 0.3}, {0.7, 0.9}}), 0.5) << "halfway between the nearest two";
  EXPECT_DOUBLE_EQ(best_threshold({{0.1, 0.2, 0.8}, {0.7, 0.9}}), 0.45)
      << "one clean photo is worth less than one of two";
  EXPECT_EQ(best_threshold({{0.5}, {0.5}}), 0.5) << "nothing to tell them apart by";
  EXPECT_NEAR(loss_of({{0.2}, {0.2}}), (-std::log(0.8) - std::log(0.2)) / 2, 1e-12);
}

TEST(Twins, ABatchHasNobodyTwiceUnlessDrawnWithReplacement) {
  const auto known = known_photos();
  auto config = batches(4, 1);
  bool twice = false;
  for (std::int64_t step = 0; step < 20; ++step) {
    config.recipe.replacement = false;
    auto labels = draw_rows(config, known, step).labels;
    std::sort(labels.begin(), labels.end());
    EXPECT_EQ(labels, (std::vector<std::int64_t>{0, 1, 2, 3}));
    config.recipe.replacement = true;
    labels = draw_rows(config, known, step).labels;
    std::sort(labels.begin(), labels.end());
    twice |= std::adjacent_find(labels.begin(), labels.end()) != labels.end();
  }
  EXPECT_TRUE(twice);
}

TEST(Twins, AreDecodedIntoAFileAndReadBackAsTheyWere) {
  const TempFolder folder;
  const auto dataset = prepare_drawn(folder.path, 3, 30);
  const auto pictures = std::make_shared<DecodedFile>(folder.path);
  const Decoded decoded(dataset.photos, pictures);
  const std::vector<std::int64_t> rows = {88, 0, 65, 64};
  std::vector<Photo> chosen;
  for (const auto row : rows) chosen.push_back(dataset.photos[static_cast<std::size_t>(row)]);
  EXPECT_TRUE(torch::equal(decoded.rows(rows).pixels.to(torch::kFloat32).div(255), load_faces(chosen).pixels));
  const auto before = decoded.rows(rows).pixels;
  fs::remove_all(folder / "dataset/canvas");  // what is decoded is not read again
  EXPECT_TRUE(torch::equal(Decoded(dataset.photos, pictures).rows(rows).pixels, before));
}

// Adadelta by hand: two of Zeiler's steps on one number, ρ .95, ε 1e-7.
TEST(Optimiser, AdadeltaIsKeras) {
  auto x = torch::full({1}, 3.0, torch::dtype(torch::kFloat64)).set_requires_grad(true);
  const auto optimiser = make_optimiser({"adadelta", 0.5, 0, 0}, {}, {x});
  double by_hand = 3, squares = 0, moves = 0;
  for (int step = 0; step < 2; ++step) {
    optimiser->zero_grad();
    x.square().sum().backward();
    optimiser->step();
    const double gradient = 2 * by_hand;
    squares = 0.95 * squares + 0.05 * gradient * gradient;
    const double move = std::sqrt(moves + 1e-7) / std::sqrt(squares + 1e-7) * gradient;
    moves = 0.95 * moves + 0.05 * move * move;
    by_hand -= 0.5 * move;
    EXPECT_NEAR(x.item<double>(), by_hand, 1e-12);
  }
}

TEST(Optimiser, GoesOnFromWhatItSaved) {
  for (const std::string kind : {"adamw", "sgd", "adadelta"}) {
    const auto run = [&](bool interrupted) {
      auto x = torch::arange(1, 5, torch::kFloat32).view({2, 2}).set_requires_grad(true);
      auto optimiser = make_optimiser({kind, 0.1, 0.01, 0.9}, {x}, {});
      for (int step = 0; step < 6; ++step) {
        if (interrupted && step == 3) {
          torch::serialize::OutputArchive out;
          optimiser->save(out);
          std::stringstream bytes;
          out.save_to(bytes);
          torch::serialize::InputArchive in;
          in.load_from(bytes);
          optimiser = make_optimiser({kind, 0.1, 0.01, 0.9}, {x}, {});
          optimiser->load(in);
        }
        optimiser->zero_grad();
        x.pow(3).sum().backward();
        optimiser->step();
      }
      return x.detach();
    };
    EXPECT_TRUE(torch::equal(run(false), run(true))) << kind;
    EXPECT_TRUE(run(false).isfinite().all().item<bool>()) << kind;
  }
}

TrainingConfig from_small_arcface() {
  TrainingConfig config;
  config.start = read_card("small-arcface");
  return config;
}

TEST(Trainee, FrozenBatchNormKeepsTheStartsStatistics) {
  auto config = from_small_arcface();
  const auto views = torch::rand({4, 3, config.start.height, config.start.width}, at::detail::createCPUGenerator(1));
  const auto difference = [&](bool learns) {
    config.recipe.batch_norm_learns = learns;
    Trainee trainee(config);
    const torch::NoGradGuard no_grad;
    trainee.learn(false);
    const auto before = trainee.embed_view(views);
    trainee.learn(true);
    return (trainee.embed_view(views) - before).abs().max().item<double>();
  };
  EXPECT_GT(difference(true), 1e-3);
  EXPECT_LT(difference(false), 1e-5);
}

TEST(Trainee, LeavesFrozenLayersAlone) {
  auto config = from_small_arcface();
  const auto all = Trainee(config).parameters().size();
  Trainee whole(config);
  const auto first = (*whole.module().named_parameters().begin()).name;
  config.recipe.frozen = {first};
  EXPECT_EQ(Trainee(config).parameters().size(), all - 1);
  config.recipe.frozen = {"nothing"};
  EXPECT_TRUE(contains(caught([&] { Trainee one(config); }).message, first));
}

}  // namespace
}  // namespace facepoison::testing
