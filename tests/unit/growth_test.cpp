// Galleries that grow, by hand and against a loop over single predictions; the albums that they start from.
#include "facepoison/growth.hpp"

#include <cmath>

#include "facepoison/experiment.hpp"
#include "facepoison/prepare.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

using Rounds = std::vector<Moved>;

// Directions at these angles, in degrees.
torch::Tensor facing(const std::vector<double>& degrees) {
  const auto angles = torch::tensor(degrees) * (M_PI / 180);
  return torch::stack({angles.cos(), angles.sin()}, 1).to(torch::kFloat32);
}

// Person 0 has a photo at 0°, person 1 one at 90°, and person 0 one more, which the trackers do not have.
class GrowthByHand : public ::testing::Test {
 protected:
  const std::vector<double> photos_ = {70, 30, 55, 79, 130};
  const std::vector<Label> people_ = {1, 0, 0, 0, 0};

  std::vector<Rounds> grown(const std::vector<std::vector<std::int64_t>>& queues) {
    std::vector<Tracker> trackers;
    for (const auto& queue : queues) trackers.push_back({0, {{0}, facing({0}), {}, {2}}, queue});
    return grow(*trained_, facing(photos_), people_, trackers);
  }

 private:
  std::unique_ptr<Classifier> classifier_ = make_classifier("nearest-cosine");
  std::unique_ptr<Trained> trained_ = classifier_->train(facing({1, 90, 5}), {0, 1, 0}, facing(photos_));
};

TEST_F(GrowthByHand, EachRoundAddsWhatTheOneBeforeLedTo) {
  // 30 is nearer to 0 than to 90, and 55 nearer to 30. 79 and 130 stay nearer to 90.
  EXPECT_EQ(grown({{1, 2, 3, 4}}).front(), (Rounds{{1, 0}, {2, 0}}));
}

TEST_F(GrowthByHand, AWrongAnswerLeadsToFurtherOnes) {
  // The other person's 70 is nearer to 55 than to 90, and 79 nearer to 70.
  EXPECT_EQ(grown({{0, 1, 2, 3, 4}}).front(), (Rounds{{1, 0}, {2, 0}, {2, 1}, {3, 1}}));
}

TEST_F(GrowthByHand, AFirstRoundIsThereEvenIfItFindsNothing) {
  EXPECT_EQ(grown({{3, 4}, {}}), (std::vector<Rounds>{{{0, 0}}, {{0, 0}}}));
}

TEST_F(GrowthByHand, TrackersDoNotSeeEachOther) {
  const std::vector<std::vector<std::int64_t>> queues = {{0, 1, 2, 3, 4}, {4}, {1, 2, 3, 4}};
  const auto together = grown(queues);
  for (std::size_t t = 0; t < queues.size(); ++t) EXPECT_EQ(together[t], grown({queues[t]}).front());
}

// Five people with 7 training and 3 test photos each.
class GrowthOfStudy : public ::testing::Test {
 protected:
  void SetUp() override {
    prepare_drawn(folder_.path, 5, 10);
    write_tiny_extractor(folder_.path);
  }

  Experiment experiment(const Json& changes) {
    Json config = {{"dataset", "dataset"},
                   {"protected", 3},
                   {"extractors", {"./tiny.json"}},
                   {"attacks", {{{"preset", "noise"}, {"epsilon", 0.2}}}}};
    config.update(changes);
    write_file(folder_ / "x.json", config.dump());
    return read_experiment(folder_ / "x.json", {}, false, store_);
  }

  std::vector<PostedAlbum> albums(const Json& changes) {
    const auto e = experiment(changes);
    Study study = study_of(e, e.protected_people, store_);
    return study.albums(e.extractors.front(), study.scenarios().back());
  }

  TempFolder folder_;
  ArtifactStore store_{folder_ / "store"};
};

TEST_F(GrowthOfStudy, AnAlbumHasWhatATrialPosts) {
  const auto sizes = [&](const Json& changes) {
    std::vector<std::size_t> sizes;
    for (const auto& album : albums(changes)) sizes.push_back(album.rows.size());
    return sizes;
  };
  using Sizes = std::vector<std::size_t>;
  EXPECT_EQ(sizes(Json::object()), (Sizes{7, 7, 7}));
  EXPECT_EQ(sizes({{"clean_photos", {2}}}), (Sizes{5, 5, 5})) << "without the photos that stay clean";
  EXPECT_EQ(sizes({{"enrolled", {"added"}}}), (Sizes{7, 7, 7}));
  EXPECT_EQ(sizes({{"enrolled", {"absent"}}}), Sizes{});
  EXPECT_EQ(sizes({{"attacks", {"none"}}}), (Sizes{7, 7, 7}));
}

TEST_F(GrowthOfStudy, CleanPhotosAreCleanWhoeverElsePosts) {
  const auto names = [&](const Json& changes) {
    std::map<std::string, std::pair<std::string, std::string>> names;
    for (const auto& album : albums(changes)) names[album.person] = {album.clean.name, album.posted.name};
    return names;
  };
  const auto alone = names(Json::object()), half = names({{"together", {"half"}}}),
             none = names({{"attacks", {"none"}}});
  EXPECT_FALSE(half.empty());
  for (const auto& [person, name] : half) EXPECT_EQ(name, alone.at(person));
  for (const auto& [person, name] : none) {
    EXPECT_EQ(name.first, name.second);
    EXPECT_EQ(name.first, alone.at(person).first);
    EXPECT_NE(name.first, alone.at(person).second);
  }
}

// The same trackers one by one, with a new gallery for each prediction.
Rounds by_single_predictions(const Classifier& classifier, const Question& question, const PostedAlbum& album,
                             std::size_t start, bool knows) {
  const auto& sides = *question.sides;
  const auto everybody = sides.gallery.read(), probes = sides.probes.read(), posted = album.posted.read();
  std::vector<torch::Tensor> gallery = {album.clean.read()[static_cast<std::int64_t>(start)]}, queue;
  std::vector<Label> labels = {album.label}, people;
  for (std::size_t row = 0; row < sides.gallery_labels.size(); ++row)
    if (sides.gallery_labels[row] != album.label) {
      gallery.push_back(everybody[static_cast<std::int64_t>(row)]);
      labels.push_back(sides.gallery_labels[row]);
    }
  for (std::size_t n = 0; n < album.rows.size(); ++n)
    if (n != start) queue.push_back(posted[static_cast<std::int64_t>(n)]), people.push_back(album.label);
  for (std::size_t p = 0; p < sides.probe_labels.size(); ++p)
    if (sides.probe_labels[p] != album.label)
      queue.push_back(probes[static_cast<std::int64_t>(p)]), people.push_back(sides.probe_labels[p]);
  Rounds rounds;
  Moved moved;
  for (bool moves = true; moves && !queue.empty();) {
    const auto named = classifier.predict(torch::stack(gallery), labels, torch::stack(queue)).labels;
    moves = false;
    for (std::size_t n = queue.size(); n-- > 0;) {
      if (named[n] != album.label || (knows && people[n] != album.label)) continue;
      moves = true;
      ++(people[n] == album.label ? moved.right : moved.wrong);
      gallery.push_back(queue[n]);
      labels.push_back(album.label);
      queue.erase(queue.begin() + static_cast<std::ptrdiff_t>(n));
      people.erase(people.begin() + static_cast<std::ptrdiff_t>(n));
    }
    if (moves || rounds.empty()) rounds.push_back(moved);
  }
  return rounds;
}

TEST_F(GrowthOfStudy, TheStageGivesWhatSinglePredictionsGive) {
  const auto e = experiment({{"classifiers", {"nearest", "nearest-cosine", "centroid", "linear"}}});
  Study study = study_of(e, e.protected_people, store_);
  const auto& scenario = study.scenarios().front();
  Executor executor(store_);
  for (const auto& classifier : e.classifiers) {
    const auto make = [&] {
      return growth_stage(study, e.extractors.front(), scenario, *classifier.classifier, "test");
    };
    const auto stage = make();
    executor.run(stage);
    EXPECT_EQ(Executor(store_).look(make()), std::vector(3, true)) << "found again, by the same names";
    const auto grown = stage->read(store_);
    const auto question = study.question(e.extractors.front(), scenario);
    ASSERT_EQ(grown.size(), 3u);
    for (std::size_t p = 0; p < 3; ++p) {
      const auto& album = stage->albums()[p];
      const auto start = Stream(scenario.seed, "growth", album.person).below(album.rows.size());
      for (const bool knows : {false, true}) {
        const auto& found = knows ? grown[p].oracle : grown[p].believed;
        EXPECT_EQ(found, by_single_predictions(*classifier.classifier, question, album, start, knows))
            << classifier.name << ", " << album.person << ", " << knows;
      }
    }
  }
}

TEST_F(GrowthOfStudy, ANetworkTrainedEndToEndIsRefused) {
  const Json end_to_end = {{"classifier", "end-to-end"}, {"steps", 1}, {"batch", {{"people", 2}, {"photos", 1}}}};
  const auto [code, message] = caught([&] { experiment({{"tables", {"growth"}}, {"classifiers", {end_to_end}}}); });
  EXPECT_EQ(code, Exit::usage);
  EXPECT_TRUE(contains(message, "growth") && contains(message, "end-to-end")) << message;
}

}  // namespace
}  // namespace facepoison::testing
