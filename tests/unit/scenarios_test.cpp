// From axes to picks: who sees which picture.
#include <cmath>
#include <set>

#include "experiments/judges.hpp"
#include "experiments/measures.hpp"
#include "facepoison/classifier.hpp"
#include "facepoison/experiment.hpp"
#include "facepoison/prepare.hpp"
#include "facepoison/recogniser.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

// Five people with 7 training and 3 test photos each.
class ScenariosTest : public ::testing::Test {
 protected:
  void SetUp() override {
    prepare_drawn(folder_.path, 5, 10);
    write_tiny_extractor(folder_.path);
  }

  Experiment experiment(const Json& changes) {
    Json config = {
        {"dataset", "dataset"}, {"protected", 3}, {"extractors", {"./tiny.json"}}, {"attacks", {"none", "noise"}}};
    config.update(changes);
    write_file(folder_ / "x.json", config.dump());
    ArtifactStore store(folder_ / "store");
    return read_experiment(folder_ / "x.json", {}, false, store);
  }

  static std::string value(const Scenario& scenario, const std::string& axis) {
    for (const auto& [name, found] : scenario.at)
      if (name == axis) return found;
    return "no such axis";
  }

  // The scenarios of one attack.
  static std::vector<Scenario> of(const Scenarios& all, const std::string& attack) {
    std::vector<Scenario> some;
    for (const auto& scenario : all.list)
      if (value(scenario, "attack") == attack) some.push_back(scenario);
    return some;
  }

  static std::set<std::int32_t> rows(const std::vector<Pick>& picks) {
    std::set<std::int32_t> found;
    for (const auto& pick : picks) found.insert(pick.row);
    return found;
  }

  // What decides the swapped rows of the first game under noise.
  static std::string sides_name(const Experiment& e, ArtifactStore& store) {
    World world = world_of(e, e.protected_people, store);
    for (const auto& scenario : world.scenarios())
      if (value(scenario, "attack") == "noise")
        return world.swaps(e.extractors.front(), scenario).front().features.name;
    return "none";
  }

  TempFolder folder_;
};

TEST_F(ScenariosTest, NeutralAxesReplaceEveryTrainingPhoto) {
  const auto e = experiment(Json::object());
  const auto all = scenarios(e, e.protected_people);
  ASSERT_EQ(all.list.size(), 2u);
  ASSERT_EQ(all.treatments.size(), 2u) << "clean and noise: none changes nothing";
  for (const auto& scenario : all.list) {
    const std::int16_t treatment = value(scenario, "attack") == "noise" ? 1 : 0;
    ASSERT_EQ(scenario.games.size(), 3u);
    for (const auto& game : scenario.games) {
      EXPECT_EQ(game.replaced.size(), 7u);
      for (const auto& pick : game.replaced) {
        EXPECT_EQ(pick.treatment, treatment);
        EXPECT_EQ(e.dataset.photos[static_cast<std::size_t>(pick.row)].person, game.person);
        EXPECT_TRUE(e.dataset.photos[static_cast<std::size_t>(pick.row)].train());
      }
      EXPECT_TRUE(game.added.empty());
    }
  }
}

TEST_F(ScenariosTest, MoreCleanPhotosKeepThoseOfFewer) {
  const auto e = experiment({{"clean_photos", {0, 1, 3, 7}}});
  const auto leaks = of(scenarios(e, e.protected_people), "noise");
  ASSERT_EQ(leaks.size(), 4u);
  for (std::size_t k = 0; k < 3; ++k) {
    ASSERT_EQ(leaks[k].games.size(), 3u);
    EXPECT_EQ(leaks[k].left_out, 0u);
    for (std::size_t p = 0; p < 3; ++p) {
      const auto perturbed = rows(leaks[k].games[p].replaced);
      EXPECT_EQ(perturbed.size(), 7 - std::stoul(value(leaks[k], "clean_photos")));
      if (k == 0) continue;
      const auto before = rows(leaks[k - 1].games[p].replaced);
      EXPECT_TRUE(std::includes(before.begin(), before.end(), perturbed.begin(), perturbed.end()));
    }
  }
  // Nobody has more than seven photos: that row is of nobody, and says whom it leaves out.
  EXPECT_TRUE(leaks[3].games.empty());
  EXPECT_EQ(leaks[3].left_out, 3u);
}

TEST_F(ScenariosTest, AMixSharesOutWhatDoesNotStayClean) {
  const Json mix = {{"name", "switched"}, {"mix", {{"loud", 0.5}, {"noise", 0.25}, {"none", 0.25}}}};
  const Json loud = {{"preset", "noise"}, {"name", "loud"}, {"epsilon", 0.1}};
  const auto e = experiment({{"attacks", {mix, "noise", loud}}, {"clean_photos", {0, 1}}});
  const auto all = scenarios(e, e.protected_people);
  EXPECT_EQ(all.treatments.size(), 3u) << "a mix perturbs nothing that its parts do not";
  const auto counts = [&](const Game& game) {
    std::map<std::string, int> found;
    for (const auto& pick : game.replaced) ++found[all.treatments.at(pick.treatment).attack->settings().name];
    return found;
  };
  const auto mixed = of(all, "switched");
  for (const auto& game : mixed[0].games)  // of 7: 3.5, 1.75, 1.75 are 3, 2, 2 by largest remainder
    EXPECT_EQ(counts(game), (std::map<std::string, int>{{"loud", 3}, {"noise", 2}}));
  for (const auto& game : mixed[1].games)  // of 6: 3, 1.5, 1.5; the first of equals
    EXPECT_EQ(counts(game), (std::map<std::string, int>{{"loud", 3}, {"noise", 2}}));
}

TEST_F(ScenariosTest, ATransformIsOnWhatItIsOn) {
  const auto e = experiment({{"transforms", {"none", "grey"}}, {"transform_on", {"perturbed", "probes", "gallery"}}});
  const auto all = scenarios(e, e.protected_people);
  const auto noise = of(all, "noise");
  ASSERT_EQ(noise.size(), 4u) << "without a transform it makes no difference what it is on";
  const auto is_grey = [&](std::int16_t treatment) { return all.treatments.at(treatment).transform != nullptr; };
  const auto posted = [&](const Scenario& s) { return s.games[0].replaced[0].treatment; };
  EXPECT_FALSE(is_grey(posted(noise[0])) || is_grey(noise[0].gallery) || is_grey(noise[0].probes));
  EXPECT_TRUE(is_grey(posted(noise[1])) && !is_grey(noise[1].gallery) && !is_grey(noise[1].probes));
  EXPECT_TRUE(!is_grey(posted(noise[2])) && !is_grey(noise[2].gallery) && is_grey(noise[2].probes));
  EXPECT_TRUE(is_grey(posted(noise[3])) && is_grey(noise[3].gallery) && !is_grey(noise[3].probes));
  // Clean photos under a transform are a row too.
  const auto none = of(all, "none");
  EXPECT_TRUE(is_grey(posted(none[1])) && all.treatments.at(posted(none[1])).attack == nullptr);
}

TEST_F(ScenariosTest, AddedPhotosStandBesideTheCleanOnes) {
  const auto e = experiment({{"enrolled", {"replaced", "added"}}});
  const auto noise = of(scenarios(e, e.protected_people), "noise");
  for (const auto& game : noise[1].games) {
    EXPECT_TRUE(game.replaced.empty());
    EXPECT_EQ(game.added.size(), 7u);
  }
}

TEST_F(ScenariosTest, HalfTogetherStandInEverybodysGallery) {
  const auto e = experiment({{"together", {"one", "half"}}});
  const auto all = scenarios(e, e.protected_people);
  const auto noise = of(all, "noise");
  ASSERT_EQ(noise.size(), 2u);
  EXPECT_TRUE(noise[0].crowd.empty());
  std::set<std::string> crowd;
  for (const auto& pick : noise[1].crowd) {
    EXPECT_NE(all.treatments.at(static_cast<std::size_t>(pick.treatment)).attack, nullptr);
    crowd.insert(e.dataset.photos[static_cast<std::size_t>(pick.row)].person);
  }
  EXPECT_EQ(crowd.size(), (e.eligible.size() + 1) / 2);
  EXPECT_TRUE(std::is_sorted(noise[1].crowd.begin(), noise[1].crowd.end(),
                             [](const Pick& a, const Pick& b) { return a.row < b.row; }));
  EXPECT_EQ(noise[1].games.size() + noise[1].left_out, e.protected_people.front().size());
  for (const auto& game : noise[1].games) EXPECT_TRUE(crowd.count(game.person)) << game.person;
}

TEST_F(ScenariosTest, TheWorldsGalleryHasWhatTheCrowdPosted) {
  const auto e = experiment({{"together", {"one", "half"}}, {"attacks", {"noise"}}});
  ArtifactStore store(folder_ / "store");
  World world = world_of(e, e.protected_people, store);
  const auto &one = world.scenarios()[0], &half = world.scenarios()[1];
  const auto clean = world.sides(e.extractors[0], one).gallery.read(),
             crowd = world.sides(e.extractors[0], half).gallery.read();
  const auto differs = (clean != crowd).any(1);
  const auto changed = rows(half.crowd);
  for (std::size_t g = 0; g < e.train.size(); ++g)
    EXPECT_EQ(differs[static_cast<std::int64_t>(g)].item<bool>(),
              changed.count(static_cast<std::int32_t>(e.train[g])) > 0)
        << e.dataset.photos[e.train[g]].id;
}

// A posted photo is as far from its clean self whoever else posts, and so is the nearest clean photo of others.
TEST_F(ScenariosTest, DisplacementsAreFromCleanPhotosWhoeverElsePosts) {
  const auto e =
      experiment({{"together", {"one", "half"}}, {"attacks", {"noise"}}, {"tables", {"protection", "displacement"}}});
  ArtifactStore store(folder_ / "store");
  World world = world_of(e, e.protected_people, store);
  Measures measures(folder_.path, e, world);
  for (const auto& scenario : world.scenarios()) measures.of(e.extractors[0], scenario);
  measures.finish();
  const Table table = read_csv(folder_ / "displacements.csv");
  std::map<std::string, std::map<std::string, std::string>> found;  // id → together → the two distances
  for (const auto& row : table.rows) {
    EXPECT_GT(std::stod(named(table, row, "moved")), 0);
    found[named(table, row, "id")][named(table, row, "together")] =
        named(table, row, "moved") + ", " + named(table, row, "nearest_other");
  }
  std::size_t both = 0;
  for (const auto& [id, ways] : found) {
    if (ways.size() < 2) continue;
    ++both;
    EXPECT_EQ(ways.at("one"), ways.at("half")) << id;
  }
  EXPECT_GT(both, 0u);
}

// A cloak detector: how much neighbouring pixels differ, beside a limit; `sign` −1 flags the smooth pictures.
class Roughness final : public FeatureExtractor {
 public:
  static Card card_of() {
    Card card;
    card.name = "roughness", card.side = 48, card.dimension = 1, card.template_name = "none";
    card.std = {1, 1, 1};
    card.task = Task::cloak_detector, card.threshold = 0.5;
    return card;
  }
  Roughness(double sign, double limit) : FeatureExtractor(card_of()), sign_(sign), limit_(limit) {}
  Json identity() const override { return {"roughness", sign_, limit_}; }

 private:
  torch::Tensor forward(const torch::Tensor& prepared) const override {
    const auto steps = prepared.slice(3, 1) - prepared.slice(3, 0, -1);
    return (sign_ * 1e4 * (steps.abs().mean({1, 2, 3}) - limit_)).unsqueeze(1);
  }
  double sign_, limit_;
};

class FilterTest : public ScenariosTest {
 protected:
  // The only scenario of "loud", whose gallery goes through a filter.
  World filtered(const Experiment& e, double sign, double limit, ArtifactStore& store) {
    auto all = scenarios(e, e.protected_people);
    std::erase_if(all.list, [](const auto& one) { return value(one, "attack") != "loud"; });
    all.list.front().filter = std::make_shared<Roughness>(sign, limit);
    return {e.dataset, e.train, e.test, all, e.options, store};
  }
  static Json loud() { return {{"preset", "noise"}, {"name", "loud"}, {"epsilon", 0.2}}; }
  static constexpr double between = 0.1;  // smooth pictures and loud ones
};

TEST_F(FilterTest, DropsWhatIsPerturbedAndThenNobodyOfThatGameIsThere) {
  const auto e = experiment({{"attacks", {loud()}}});
  ArtifactStore store(folder_ / "store");
  World world = filtered(e, 1, between, store);
  const auto& scenario = world.scenarios().front();
  EXPECT_EQ(world.sides(e.extractors[0], scenario).gallery_labels.size(), 35u) << "everybody's clean photos stay";
  for (const auto& swap : world.swaps(e.extractors[0], scenario)) {
    EXPECT_EQ(swap.removed.size(), 7u);
    EXPECT_TRUE(swap.rows.empty() && swap.added == 0);
  }
}

TEST_F(FilterTest, ThatFlagsCleanPhotosLeavesTheGamesOwnPostedOnes) {
  const auto e = experiment({{"attacks", {loud()}}});
  ArtifactStore store(folder_ / "store");
  World world = filtered(e, -1, between, store);
  const auto& scenario = world.scenarios().front();
  const auto& sides = world.sides(e.extractors[0], scenario);
  EXPECT_TRUE(sides.gallery_labels.empty());
  EXPECT_EQ(sides.gallery.read().sizes(), (std::vector<std::int64_t>{0, 16}));
  for (const auto* classifier : {"nearest", "nearest-cosine", "centroid", "k-nearest", "linear"}) {
    const auto answers = make_recogniser(e.extractors[0], classifier, e.options)->answer(world, scenario, "test");
    ASSERT_EQ(answers.games.size(), 3u);
    for (std::size_t g = 0; g < 3; ++g) {
      const auto label = world.label_of(scenario.games[g].person);
      EXPECT_EQ(answers.games[g].labels, std::vector<std::int64_t>(3, label)) << "there is nobody else: " << classifier;
      EXPECT_EQ(answers.games[g].ranks, std::vector<std::int64_t>(3, 1)) << classifier;
      EXPECT_EQ(answers.games[g].others_errors, answers.games[g].others) << classifier;
    }
    EXPECT_EQ(answers.everybody.front().label, -1) << classifier;
  }
}

TEST_F(FilterTest, ThatFlagsEverythingLeavesNobody) {
  const auto e = experiment({{"attacks", {loud()}}, {"tables", {"protection", "verification", "displacement"}}});
  ArtifactStore store(folder_ / "store");
  World world = filtered(e, 1, 0, store);
  const auto& scenario = world.scenarios().front();
  for (const auto* classifier : {"nearest", "nearest-cosine", "centroid", "k-nearest", "linear"}) {
    const auto answers = make_recogniser(e.extractors[0], classifier, e.options)->answer(world, scenario, "test");
    for (const auto& game : answers.games) {
      EXPECT_EQ(game.labels, std::vector<std::int64_t>(3, -1)) << classifier;
      EXPECT_EQ(game.ranks, std::vector<std::int64_t>(3, 0)) << classifier;
    }
  }
  for (const auto& gallery : world.galleries(scenario)) EXPECT_TRUE(gallery.empty());
  Measures measures(folder_.path, e, world);
  measures.of(e.extractors[0], scenario);
  measures.finish();
  EXPECT_TRUE(read_csv(folder_ / "pairs.csv").rows.empty()) << "nothing was posted";
}

TEST_F(ScenariosTest, AnEmbeddingOfZerosIsNamedByItsPhoto) {
  write_file(folder_ / "photos/p00/v0.png", encode_png(Image{48, 48, std::vector<std::uint8_t>(48 * 48 * 3)}));
  ArtifactStore store(folder_ / "store");
  PrepareOptions options;
  options.detect = false, options.canvas = 48;
  prepare(scan_photos(folder_ / "photos"), folder_ / "black", options, store);
  Json card = read_json(folder_ / "tiny.json");
  card["input"]["mean"] = {0.0, 0.0, 0.0};
  write_file(folder_ / "tiny.json", card.dump());
  const auto e = experiment({{"dataset", "black"}, {"classifiers", {"nearest-cosine"}}, {"attacks", {"none"}}});
  World world = world_of(e, e.protected_people, store);
  const auto [code, message] = caught([&] {
    make_recogniser(e.extractors[0], "nearest-cosine", e.options)->answer(world, world.scenarios().front(), "test");
  });
  EXPECT_EQ(code, Exit::input);
  EXPECT_TRUE(contains(message, "tiny") && contains(message, "p00/v0.png")) << message;
}

TEST_F(ScenariosTest, WhatIsResolvedIsTheRunsIdentity) {
  const auto identity = [&](const Json& changes) {
    Json resolved = experiment(changes).resolved;
    resolved.erase("dataset");
    return resolved.dump();
  };
  const auto posed = [&](int side) {
    const Json transform = {{"name", "site"}, {"transform", "side"}, {"side", side}};
    return identity({{"probes", {{{"transform", transform}}}}});
  };
  EXPECT_NE(posed(32), posed(40)) << "probes under transforms of one name";
  fs::create_directories(folder_ / "a"), fs::create_directories(folder_ / "b");
  const auto files = [&](const std::string& folder) {
    return identity({{"attacks", {{{"preset", "files"}, {"folder", "./" + folder}}}}});
  };
  EXPECT_NE(files("a"), files("b")) << "perturbed files of two folders";
  const auto classifier = [&](const Json& one) { return experiment({{"classifiers", {one}}}).resolved; };
  EXPECT_EQ(classifier("k-nearest").at("classifier_settings")[0].at("k"), 5) << "a default is written down";
  EXPECT_FALSE(classifier("nearest").contains("classifier_settings")) << "what has no settings keeps its hash";
  const auto trained = [&](const Json& twin) {
    return identity({{"classifiers",
                      {{{"classifier", "end-to-end"},
                        {"name", "trained"},
                        {"steps", 1},
                        {"public_twins", {twin}},
                        {"batch", {{"people", 2}, {"photos", 1}}}}}}});
  };
  write_file(folder_ / "twin.json", Json{{"preset", "noise"}, {"epsilon", 0.1}}.dump());
  const auto twin = (folder_ / "twin.json").string(), before = trained(twin);
  write_file(folder_ / "twin.json", Json{{"preset", "noise"}, {"epsilon", 0.2}}.dump());
  EXPECT_NE(trained(twin), before) << "a preset's file was edited";
}

// A cache holds end-to-end scores by a version, so that scores that change need a new one. Machines round otherwise.
TEST_F(ScenariosTest, TrainedEndToEndTheSameVersionGivesTheSameScores) {
  Json quiet;
  for (const auto* key :
       {"flip", "scale", "rotate", "shift", "light", "colour", "grey", "blur", "noise", "jpeg", "erase"})
    quiet[key] = 0;
  const Json classifier = {{"classifier", "end-to-end"}, {"steps", 4},
                           {"optimiser", "sgd"},         {"rate", 0.01},
                           {"augmentation", quiet},      {"batch", {{"people", 5}, {"photos", 2}}}};
  const auto e = experiment({{"attacks", {"none"}}, {"device", "cpu"}});
  ArtifactStore store(folder_ / "store");
  World world = world_of(e, e.protected_people, store);
  const auto recogniser = make_recogniser(e.extractors[0], classifier, e.options);
  const auto answers = recogniser->answer(world, world.scenarios().front(), "test");
  Json found = {{"version", recogniser->settings().at("version")}};
  for (const auto& naming : answers.everybody) {
    found["labels"].push_back(naming.label);
    found["distances"].push_back(naming.distance);
  }
  const Json golden = read_json(fs::path(FACEPOISON_ROOT) / "tests/golden/end-to-end.json");
  bool same = golden["version"] == found["version"] && golden["labels"] == found["labels"];
  for (std::size_t p = 0; same && p < answers.everybody.size(); ++p)
    same &= std::abs(golden["distances"][p].get<double>() - answers.everybody[p].distance) < 1e-3;
  EXPECT_TRUE(same)
      << "If the change is meant, raise end_to_end_version in src/recognisers/end_to_end.cpp, and write to "
      << "tests/golden/end-to-end.json:\n"
      << found.dump();
}

TEST_F(ScenariosTest, AnOverrideOfTheSeedTakesThePlaceOfSeeds) {
  const auto seeds = [&](const Json& changes, const std::vector<std::string>& overrides) {
    experiment(changes);
    ArtifactStore store(folder_ / "store");
    return read_experiment(folder_ / "x.json", overrides, false, store).axes.seeds;
  };
  EXPECT_EQ(seeds({{"seed", 3}}, {"seeds=[1,2]"}), (std::vector<Seed>{1, 2}));
  EXPECT_EQ(seeds({{"seeds", {1, 2}}}, {"seed=3"}), (std::vector<Seed>{3}));
  EXPECT_EQ(seeds({{"seed", 3}}, {"seed=null"}), (std::vector<Seed>{0}));
  EXPECT_EQ(seeds({{"seeds", {1, 2}}}, {"seed=null"}), (std::vector<Seed>{1, 2}));
  EXPECT_EQ(seeds({{"seed", 3}}, {"seed=4", "seeds=[5]"}), (std::vector<Seed>{5})) << "the last one";
  write_file(folder_ / "base.json", read_file(folder_ / "x.json"));
  write_file(folder_ / "x.json", R"({"base": "base.json", "seeds": [7, 8]})");
  ArtifactStore store(folder_ / "store");
  EXPECT_EQ(read_experiment(folder_ / "x.json", {}, false, store).axes.seeds, (std::vector<Seed>{7, 8}))
      << "over the base's seed";
}

TEST_F(ScenariosTest, APlanPreparesNoFolderAndSaysSo) {
  Json config = {{"dataset", "photos"},
                 {"prepare", {{"detect", false}, {"canvas", 48}}},
                 {"extractors", {"./tiny.json"}},
                 {"attacks", {"noise"}}};
  write_file(folder_ / "x.json", config.dump());
  const auto listed = [&] {
    std::set<std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path)) files.insert(entry.path());
    return files;
  };
  ArtifactStore made(folder_ / "store"), store(folder_ / "new");
  std::vector<PlannedUnit> units;
  store.only_plan(units);
  const auto before = listed();
  const auto e = read_experiment(folder_ / "x.json", {}, false, store);
  plan_units(e, store);
  EXPECT_EQ(listed(), before) << "something was made";
  EXPECT_FALSE(e.is_prepared());
  EXPECT_EQ(units.size(), 5u) << "to prepare, one for each person";
  for (const auto& unit : units) EXPECT_TRUE(unit.arrow == "prepared" && !unit.stored) << unit.arrow;
  const Table table = plan(e, units);
  ASSERT_EQ(table.rows.size(), 1u);
  EXPECT_EQ(named(table, table.rows[0], "people"), "");
  EXPECT_TRUE(contains(table.notes.at(0), "not prepared yet")) << table.notes.at(0);
  read_experiment(folder_ / "x.json", {}, false, made);
  made.only_plan(units);
  EXPECT_EQ(read_experiment(folder_ / "x.json", {}, false, made).dataset.photos.size(), 50u);
}

Posting posting_of(const std::string& name, const std::string& released, Surrogates surrogates) {
  AttackSettings settings;
  settings.name = name, settings.released = released, settings.surrogates = std::move(surrogates);
  class Still final : public Attack {
    using Attack::Attack;
    Found run(const Faces& faces, const Faces&, Seed) const override { return {faces.pixels}; }
  };
  return {name, {{std::make_shared<Still>(settings), 1.0}}};
}

TEST_F(ScenariosTest, AStrategyIsWhatTheTrainerReliesOn) {
  const auto extractor = [&](const std::string& name, int weights, const std::string& released, bool adaptive) {
    write_tiny_extractor(folder_.path, weights, name);
    Json card = read_json(folder_ / (name + ".json"));
    card["released"] = released;
    if (adaptive) card["trained_against"] = {"noise"};
    write_file(folder_ / (name + ".json"), card.dump());
    return make_extractor((folder_ / (name + ".json")).string(), {});
  };
  const auto old = extractor("old", 1, "2018", false), late = extractor("late", 2, "2022", false),
             same = extractor("same", 3, "2021", false), month = extractor("month", 4, "2021-03", false),
             adaptive = extractor("adaptive", 5, "2018", true);
  const auto attack = posting_of("tool", "2021-03", {old});
  const auto of = [](const Posting& posting, const std::vector<const FeatureExtractor*>& judged) {
    return strategy(posting, Judge{"judge", "", judged});
  };
  EXPECT_EQ(of(attack, {late.get()}), "newer");
  EXPECT_EQ(of(attack, {same.get()}), "same year");
  EXPECT_EQ(of(attack, {month.get()}), "same month");
  EXPECT_EQ(of(attack, {old.get()}), "surrogate");
  EXPECT_EQ(of(attack, {adaptive.get()}), "adaptive");
  EXPECT_EQ(of(posting_of("tool", "2021-03", {}), {old.get()}), "older");
  EXPECT_EQ(of(posting_of("noise", "", {}), {adaptive.get()}), "") << "which is no released tool and knows nobody";
  EXPECT_EQ(of(attack, {old.get(), late.get()}), "newer") << "who is asked last decides";
  EXPECT_TRUE(optimises_against(attack, Judge{"both", "", {old.get(), late.get()}})) << "either of them";
  EXPECT_FALSE(optimises_against(attack, Judge{"late", "", {late.get()}}));
}

TEST_F(ScenariosTest, EachSeedDrawsItsOwn) {
  const auto e = experiment({{"seeds", {0, 1}}, {"clean_photos", {3}}});
  const auto noise = of(scenarios(e, e.protected_people), "noise");
  ASSERT_EQ(noise.size(), 2u);
  EXPECT_NE(noise[0].games[0].replaced[0].treatment, noise[1].games[0].replaced[0].treatment);
  const auto alone = experiment({{"seed", 1}, {"clean_photos", {3}}});
  const auto other = of(scenarios(alone, alone.protected_people), "noise");
  EXPECT_EQ(alone.protected_people.front(), e.protected_people.back());
  EXPECT_EQ(rows(other[0].games[0].replaced), rows(noise[1].games[0].replaced));
}

TEST_F(ScenariosTest, ProbesCanBePosedAndOnlyTheirOwnGamesHaveThem) {
  const auto e = experiment({{"probes", {"clean", "as-posted", {{"attack", "noise"}}}}});
  ArtifactStore store(folder_ / "store");
  World world = world_of(e, e.protected_people, store);
  for (const auto& scenario : world.scenarios()) {
    const auto& sides = world.sides(e.extractors.front(), scenario);
    const bool clean = value(scenario, "probes") == "clean";
    const bool noisy = value(scenario, "probes") == "noise" || (!clean && value(scenario, "attack") == "noise");
    ASSERT_EQ(scenario.posed.size(), clean ? 0u : 9u) << "three people's three probes";
    for (const auto& pick : scenario.posed) EXPECT_EQ(world.treatment(pick.treatment).attack != nullptr, noisy);
    EXPECT_EQ(sides.posed_from, 15u);
    EXPECT_EQ(sides.probe_labels.size(), 15 + scenario.posed.size());
    for (const auto& swap : world.swaps(e.extractors.front(), scenario)) {
      const auto own = sides.probes_of(swap.label);
      ASSERT_EQ(own.size(), 3u);
      EXPECT_EQ(own.front() >= 15, !clean);
      std::size_t others = 0;
      for (std::size_t p = 0; p < sides.probe_labels.size(); ++p) others += sides.is_of_others(p, swap.label);
      EXPECT_EQ(others, 12u) << "the other four people's clean ones";
    }
  }
  const auto unposed = experiment(Json::object());
  EXPECT_EQ(sides_name(unposed, store), sides_name(e, store)) << "the gallery depends on nobody's probes";
}

TEST_F(ScenariosTest, AnAttackAndProbesCanBeOfAnotherSizeThanEverybodysPhotos) {
  const Json smaller = {{"transform", "side"}, {"side", 32}};
  const Json attack = {{"preset", "noise"}, {"name", "noise"}, {"before", smaller}};
  const auto e = experiment({{"attacks", {attack}}, {"probes", {"clean", {{"transform", smaller}}}}});
  Json renamed = attack;
  renamed["before"]["name"] = "small";
  EXPECT_EQ(make_attack(renamed, e.options)->identity(), make_attack(attack, e.options)->identity());
  EXPECT_NE(make_attack("noise", e.options)->identity(), make_attack(attack, e.options)->identity());
  const auto side = [](const Photo& photo) { return read_canvas(photo).width; };
  for (const bool planning : {true, false}) {
    ArtifactStore store(folder_ / "store");
    std::vector<PlannedUnit> plan;
    if (planning) store.only_plan(plan);
    World world = world_of(e, e.protected_people, store);
    for (const auto& scenario : world.scenarios()) {
      const auto swaps = world.swaps(e.extractors.front(), scenario);
      EXPECT_EQ(swaps.front().rows.size(), 7u);
      if (planning) continue;
      const auto posted = scenario.games.front().replaced.front().treatment;
      for (const auto& photo : world.posted(posted).photos) EXPECT_EQ(side(photo), 32);
      for (const auto& photo : world.clean(posted)) EXPECT_EQ(side(photo), 32);
      for (const auto& row : world.posted(posted).budget) EXPECT_EQ(row.linf, 8) << "beside the picture of that size";
      EXPECT_EQ(side(e.dataset.photos.front()), 48) << "everybody else's";
      const auto probes = world.probe_photos(scenario);
      for (std::size_t p = 0; p < probes.size(); ++p) EXPECT_EQ(side(probes[p]), p < 15 ? 48 : 32);
    }
    EXPECT_EQ(plan.empty(), !planning);
    for (const auto& unit : plan) EXPECT_TRUE(unit.arrow != "perturbed" || !unit.needs.empty());
  }
}

TEST_F(ScenariosTest, WhatIsWrongOnAnAxisIsNamed) {
  for (const auto& [changes, part] : std::vector<std::pair<Json, std::string>>{
           {{{"clean_photos", {-1}}}, "key \"clean_photos\": found -1"},
           {{{"clean_photos", {1.5}}}, "key \"clean_photos\": found 1.5"},
           {{{"clean_photos", {1, 1}}}, "\"1\" is named twice"},
           {{{"clean_photos", 5}}, "expected a list"},
           {{{"seeds", {1}}, {"seed", 1}}, "one of them says it all"},
           {{{"seeds", Json::array()}}, "an empty list"},
           {{{"extractors", Json::array()}}, "key \"extractors\": an empty list"},
           {{{"enrolled", {"beside"}}}, "expected replaced, added or absent"},
           {{{"together", {"all"}}}, "expected one or half"},
           {{{"probes", {"dirty"}}}, "as-posted"},
           {{{"probes", {{{"attack", "nois"}}}}}, "noise"},
           {{{"probes", {{{"transform", "none"}}}}}, "{\"transform\": one}"},
           {{{"attacks", {{{"preset", "none"}, {"before", "grey"}}}}}, "this attack changes no photo"},
           {{{"attacks", {{{"preset", "noise"}, {"before", "gray"}}}}}, "grey"},
           {{{"together", {"half"}}, {"enrolled", {"added"}}}, "photos that are replaced"},
           {{{"transform_on", {"probe"}}}, "perturbed, gallery or probes"},
           {{{"transform_on", {"probes+probes"}}}, "names one twice"},
           {{{"transforms", {"jpg"}}}, "jpeg"},
           {{{"transforms", {"grey", "grey"}}}, "\"grey\" is named twice"},
           {{{"attacks", {{{"name", "m"}, {"mix", {{"noise", 0.5}, {"none", 0.4}}}}}}}, "sum to 0.9, not 1"},
           {{{"attacks", {{{"mix", {{"noise", 1}}}}}}}, "needs a \"name\""},
           {{{"attacks", {{{"name", "m"}, {"mix", {{"niose", 1}}}}}}}, "did you mean noise?"},
           {{{"attacks", {{{"name", "m"}, {"mix", {{"noise", 1}}}, {"share", 1}}}}}, "no key \"share\""}}) {
    const auto [code, message] = caught([&, c = changes] { experiment(c); });
    EXPECT_EQ(code, Exit::usage) << changes;
    EXPECT_TRUE(contains(message, part)) << changes << ": " << message;
  }
}

}  // namespace
}  // namespace facepoison::testing
