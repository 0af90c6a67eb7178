// From axes to picks: who sees which picture.
#include <set>

#include "facepoison/experiment.hpp"
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
