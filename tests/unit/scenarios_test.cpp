// From axes to picks: the pictures of each person.
#include <cmath>
#include <set>

#include "experiments/table_recognisers.hpp"
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
    for (const auto& [name, found] : scenario.coordinates)
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

  static std::set<PhotoRow> rows(const std::vector<Pick>& picks) {
    std::set<PhotoRow> found;
    for (const auto& pick : picks) found.insert(pick.photo);
    return found;
  }

  // The key of the swapped rows of the first game under noise.
  static std::string sides_name(const Experiment& e, ArtifactStore& store) {
    Study study = study_of(e, e.protected_people, store);
    for (const auto& scenario : study.scenarios())
      if (value(scenario, "attack") == "noise")
        return study.question(e.extractors.front(), scenario).trials.front().features.name;
    return "none";
  }

  // The question of a scenario after its stages have run.
  static Question asked(const Experiment& e, Study& study, const Scenario& scenario, ArtifactStore& store) {
    Executor executor(store);
    for (const auto& stage : study.stages_of(e.extractors.front(), scenario)) executor.run(stage);
    for (const auto& stage : study.filter_stages(scenario)) executor.run(stage);
    return study.filtered_question(e.extractors.front(), scenario);
  }

  static Answers answers(const Experiment& e, const ClassifierChoice& classifier, Study& study,
                         const Scenario& scenario, ArtifactStore& store) {
    const auto recogniser = make_recogniser(e.extractors.front(), classifier, e.options);
    const auto stage = recogniser->stage(study, scenario, "test");
    Executor(store).run(stage);
    return stage->read(store);
  }

  TempFolder folder_;
};

TEST_F(ScenariosTest, NeutralAxesReplaceEveryTrainingPhoto) {
  const auto e = experiment(Json::object());
  const auto all = scenarios(e, e.protected_people);
  ASSERT_EQ(all.list.size(), 2u);
  ASSERT_EQ(all.treatments.size(), 2u) << "clean and noise: none changes nothing";
  for (const auto& scenario : all.list) {
    const std::size_t treatment = value(scenario, "attack") == "noise" ? 1 : 0;
    ASSERT_EQ(scenario.trials.size(), 3u);
    for (const auto& trial : scenario.trials) {
      EXPECT_EQ(trial.replaced.size(), 7u);
      for (const auto& pick : trial.replaced) {
        EXPECT_EQ(pick.treatment, treatment);
        EXPECT_EQ(e.dataset.photos[pick.photo].person, trial.person);
        EXPECT_TRUE(e.dataset.photos[pick.photo].train());
      }
      EXPECT_TRUE(trial.added.empty());
    }
  }
}

TEST_F(ScenariosTest, MoreCleanPhotosKeepThoseOfFewer) {
  const auto e = experiment({{"clean_photos", {0, 1, 3, 7}}});
  const auto leaks = of(scenarios(e, e.protected_people), "noise");
  ASSERT_EQ(leaks.size(), 4u);
  for (std::size_t k = 0; k < 3; ++k) {
    ASSERT_EQ(leaks[k].trials.size(), 3u);
    EXPECT_EQ(leaks[k].left_out, 0u);
    for (std::size_t p = 0; p < 3; ++p) {
      const auto perturbed = rows(leaks[k].trials[p].replaced);
      EXPECT_EQ(perturbed.size(), 7 - std::stoul(value(leaks[k], "clean_photos")));
      if (k == 0) continue;
      const auto before = rows(leaks[k - 1].trials[p].replaced);
      EXPECT_TRUE(std::includes(before.begin(), before.end(), perturbed.begin(), perturbed.end()));
    }
  }
  // Nobody has more than seven photos: that row has nobody, and says who is left out.
  EXPECT_TRUE(leaks[3].trials.empty());
  EXPECT_EQ(leaks[3].left_out, 3u);
}

TEST_F(ScenariosTest, AMixSharesOutWhatDoesNotStayClean) {
  const Json mix = {{"name", "switched"}, {"mix", {{"loud", 0.5}, {"noise", 0.25}, {"none", 0.25}}}};
  const Json loud = {{"preset", "noise"}, {"name", "loud"}, {"epsilon", 0.1}};
  const auto e = experiment({{"attacks", {mix, "noise", loud}}, {"clean_photos", {0, 1}}});
  const auto all = scenarios(e, e.protected_people);
  EXPECT_EQ(all.treatments.size(), 3u) << "a mix perturbs nothing that its parts do not";
  const auto counts = [&](const Trial& trial) {
    std::map<std::string, int> found;
    for (const auto& pick : trial.replaced) ++found[all.treatments.at(pick.treatment).attack->settings().name];
    return found;
  };
  const auto mixed = of(all, "switched");
  for (const auto& trial : mixed[0].trials)  // of 7: 3.5, 1.75, 1.75 are 3, 2, 2 by largest remainder
    EXPECT_EQ(counts(trial), (std::map<std::string, int>{{"loud", 3}, {"noise", 2}}));
  for (const auto& trial : mixed[1].trials)  // of 6: 3, 1.5, 1.5; the first of equals
    EXPECT_EQ(counts(trial), (std::map<std::string, int>{{"loud", 3}, {"noise", 2}}));
}

TEST_F(ScenariosTest, ATransformIsOnWhatItIsOn) {
  const auto e = experiment({{"transforms", {"none", "grey"}}, {"transform_on", {"perturbed", "probes", "gallery"}}});
  const auto all = scenarios(e, e.protected_people);
  const auto noise = of(all, "noise");
  ASSERT_EQ(noise.size(), 4u) << "without a transform it makes no difference what it is on";
  const auto is_grey = [&](TreatmentId treatment) { return all.treatments.at(treatment).transform != nullptr; };
  const auto posted = [&](const Scenario& s) { return s.trials[0].replaced[0].treatment; };
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
  for (const auto& trial : noise[1].trials) {
    EXPECT_TRUE(trial.replaced.empty());
    EXPECT_EQ(trial.added.size(), 7u);
  }
}

TEST_F(ScenariosTest, HalfTogetherStandInEverybodysGallery) {
  const auto e = experiment({{"together", {"one", "half"}}});
  const auto all = scenarios(e, e.protected_people);
  const auto noise = of(all, "noise");
  ASSERT_EQ(noise.size(), 2u);
  EXPECT_TRUE(noise[0].co_protected.empty());
  std::set<std::string> crowd;
  for (const auto& pick : noise[1].co_protected) {
    EXPECT_NE(all.treatments.at(pick.treatment).attack, nullptr);
    crowd.insert(e.dataset.photos[pick.photo].person);
  }
  EXPECT_EQ(crowd.size(), (e.eligible.size() + 1) / 2);
  EXPECT_TRUE(std::is_sorted(noise[1].co_protected.begin(), noise[1].co_protected.end(),
                             [](const Pick& a, const Pick& b) { return a.photo < b.photo; }));
  EXPECT_EQ(noise[1].trials.size() + noise[1].left_out, e.protected_people.front().size());
  for (const auto& trial : noise[1].trials) EXPECT_TRUE(crowd.count(trial.person)) << trial.person;
}

TEST_F(ScenariosTest, TheGalleryHasWhatCoProtectedPeoplePosted) {
  const auto e = experiment({{"together", {"one", "half"}}, {"attacks", {"noise"}}});
  ArtifactStore store(folder_ / "store");
  Study study = study_of(e, e.protected_people, store);
  const auto &one = study.scenarios()[0], &half = study.scenarios()[1];
  const auto clean = asked(e, study, one, store).sides->gallery.read(),
             crowd = asked(e, study, half, store).sides->gallery.read();
  const auto differs = (clean != crowd).any(1);
  const auto changed = rows(half.co_protected);
  for (std::size_t g = 0; g < e.train.size(); ++g)
    EXPECT_EQ(differs[static_cast<std::int64_t>(g)].item<bool>(), changed.count(e.train[g]) > 0)
        << e.dataset.photos[e.train[g]].id;
}

// The distances from a posted photo to its clean version and to others' nearest clean photo do not depend on who posts.
TEST_F(ScenariosTest, DisplacementsAreFromCleanPhotosWhoeverElsePosts) {
  const auto e =
      experiment({{"together", {"one", "half"}}, {"attacks", {"noise"}}, {"tables", {"protection", "displacement"}}});
  ArtifactStore store(folder_ / "store");
  Study study = study_of(e, e.protected_people, store);
  Executor executor(store);
  Measures measures(folder_.path, e, study, executor);
  for (const auto& scenario : study.scenarios()) measures.of(e.extractors[0], scenario);
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

// A cloak detector: the difference of neighbouring pixels minus a limit; `sign` −1 flags smooth pictures.
class Roughness final : public FeatureExtractor {
 public:
  static Card card_of() {
    Card card;
    card.name = "roughness", card.width = card.height = 48, card.dimension = 1, card.template_name = "none";
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
  // The only scenario of "loud"; its gallery goes through a filter.
  static Study filtered(const Experiment& e, double sign, double limit, const ArtifactStore& store) {
    auto all = scenarios(e, e.protected_people);
    std::erase_if(all.list, [](const auto& one) { return value(one, "attack") != "loud"; });
    all.list.front().filter = std::make_shared<Roughness>(sign, limit);
    return {e.dataset, SplitRows(e.dataset.photos, e.train, e.test), all, e.options, store};
  }
  static Json loud() { return {{"preset", "noise"}, {"name", "loud"}, {"epsilon", 0.2}}; }
  static constexpr double between = 0.1;  // smooth pictures and loud ones
};

TEST_F(FilterTest, DropsWhatIsPerturbedAndThenNobodyOfThatGameIsThere) {
  const auto e = experiment({{"attacks", {loud()}}});
  ArtifactStore store(folder_ / "store");
  Study study = filtered(e, 1, between, store);
  const auto& scenario = study.scenarios().front();
  const auto question = asked(e, study, scenario, store);
  EXPECT_EQ(question.sides->gallery_labels.size(), 35u) << "everybody's clean photos stay";
  for (const auto& swap : question.trials) {
    EXPECT_EQ(swap.removed.size(), 7u);
    EXPECT_TRUE(swap.rows.empty() && swap.added == 0);
  }
}

TEST_F(FilterTest, ThatFlagsCleanPhotosLeavesTheGamesOwnPostedOnes) {
  const auto e = experiment({{"attacks", {loud()}}});
  ArtifactStore store(folder_ / "store");
  Study study = filtered(e, -1, between, store);
  const auto& scenario = study.scenarios().front();
  const auto sides = asked(e, study, scenario, store).sides;
  EXPECT_TRUE(sides->gallery_labels.empty());
  EXPECT_EQ(sides->gallery.read().sizes(), (std::vector<std::int64_t>{0, 16}));
  for (const auto* classifier : {"nearest", "nearest-cosine", "centroid", "k-nearest", "linear"}) {
    const auto found = answers(e, choose_classifier(classifier), study, scenario, store);
    ASSERT_EQ(found.trials.size(), 3u);
    for (std::size_t g = 0; g < 3; ++g) {
      const auto label = study.split().label_of(scenario.trials[g].person);
      EXPECT_EQ(found.trials[g].labels, std::vector<std::int64_t>(3, label)) << "there is nobody else: " << classifier;
      EXPECT_EQ(found.trials[g].ranks, std::vector<std::int64_t>(3, 1)) << classifier;
      EXPECT_EQ(found.trials[g].others_errors, found.trials[g].others) << classifier;
    }
    EXPECT_EQ(found.everybody.front().label, -1) << classifier;
  }
}

TEST_F(FilterTest, ThatFlagsEverythingLeavesNobody) {
  const auto e = experiment({{"attacks", {loud()}}, {"tables", {"protection", "verification", "displacement"}}});
  ArtifactStore store(folder_ / "store");
  Study study = filtered(e, 1, 0, store);
  const auto& scenario = study.scenarios().front();
  for (const auto* classifier : {"nearest", "nearest-cosine", "centroid", "k-nearest", "linear"}) {
    const auto found = answers(e, choose_classifier(classifier), study, scenario, store);
    for (const auto& trial : found.trials) {
      EXPECT_EQ(trial.labels, std::vector<std::int64_t>(3, -1)) << classifier;
      EXPECT_EQ(trial.ranks, std::vector<std::int64_t>(3, 0)) << classifier;
    }
  }
  const auto assembly = study.assemble_filtered(scenario);
  for (std::size_t t = 0; t < scenario.trials.size(); ++t) EXPECT_TRUE(gallery_of(assembly, t).empty());
  Executor executor(store);
  Measures measures(folder_.path, e, study, executor);
  measures.of(e.extractors[0], scenario);
  measures.finish();
  EXPECT_TRUE(read_csv(folder_ / "pairs.csv").rows.empty()) << "nothing was posted";
}

// A training's inputs are named before the filter's scores exist, and must be the same afterwards.
TEST_F(FilterTest, WhatIsTrainedOnTheRestIsFoundAgain) {
  const auto e = experiment({{"attacks", {loud()}}});
  ArtifactStore store(folder_ / "store");
  const auto classifier =
      choose_classifier({{"classifier", "end-to-end"}, {"steps", 1}, {"batch", {{"people", 2}, {"photos", 1}}}});
  Study study = filtered(e, 1, between, store), again = filtered(e, 1, between, store);
  for (const auto& trial : answers(e, classifier, study, study.scenarios().front(), store).trials)
    EXPECT_EQ(trial.ranks, std::vector<std::int64_t>(3, 0)) << "the filter left nothing of the person";
  const auto stage =
      make_recogniser(e.extractors.front(), classifier, e.options)->stage(again, again.scenarios().front(), "test");
  EXPECT_EQ(Executor(store).look(stage), std::vector(3, true));
}

TEST_F(ScenariosTest, WhoHasFewPhotosIsNotProtected) {
  draw_people(folder_ / "fewer/photos", 5, 7);
  for (const char* person : {"p00", "p03"}) {
    fs::remove_all(folder_ / "photos" / person);
    fs::rename(folder_ / "fewer/photos" / person, folder_ / "photos" / person);
  }
  ArtifactStore store(folder_ / "store");
  PrepareOptions options;
  options.detect = false, options.canvas = 48;
  prepare(scan_photos(folder_ / "photos"), folder_ / "dataset", options, store);
  const auto people = [&](const Json& wanted) {
    auto drawn = experiment({{"protected", wanted}}).protected_people.front();
    std::sort(drawn.begin(), drawn.end());
    return drawn;
  };
  EXPECT_EQ(people({{"least_photos", 10}}), (std::vector<std::string>{"p01", "p02", "p04"}));
  EXPECT_EQ(people({{"people", 5}, {"least_photos", 7}}).size(), 5u);
  EXPECT_EQ(people({{"people", {"p01"}}}), std::vector<std::string>{"p01"});
  for (const Json& wrong : {Json{{"people", 4}, {"least_photos", 10}}, Json{{"least_photos", 11}},
                            Json{{"least_photos", 0}}, Json{{"most_photos", 9}}})
    EXPECT_EQ(caught([&] { people(wrong); }).code, Exit::usage) << wrong;
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
  Study study = study_of(e, e.protected_people, store);
  const auto [code, message] = caught([&] { answers(e, e.classifiers[0], study, study.scenarios().front(), store); });
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

// The cache keys end-to-end scores by a version, so changed scores need a new version. Machines round differently.
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
  Study study = study_of(e, e.protected_people, store);
  const auto recogniser = make_recogniser(e.extractors[0], choose_classifier(classifier), e.options);
  const auto everybody = answers(e, choose_classifier(classifier), study, study.scenarios().front(), store).everybody;
  Json found = {{"version", recogniser->settings().at("version")}};
  for (const auto& result : everybody) {
    found["labels"].push_back(result.label);
    found["distances"].push_back(result.distance);
  }
  const Json golden = read_json(fs::path(FACEPOISON_ROOT) / "tests/golden/end-to-end.json");
  bool same = golden["version"] == found["version"] && golden["labels"] == found["labels"];
  for (std::size_t p = 0; same && p < everybody.size(); ++p)
    same &= std::abs(golden["distances"][p].get<double>() - everybody[p].distance) < 1e-3;
  EXPECT_TRUE(same)
      << "If the change is meant, raise end_to_end_version in src/recognisers/end_to_end.cpp, and write to "
      << "tests/golden/end-to-end.json:\n"
      << found.dump();
}

TEST_F(ScenariosTest, AnOverrideOfTheSeedTakesThePlaceOfSeeds) {
  const auto seeds = [&](const Json& changes, const std::vector<std::string>& overrides) {
    experiment(changes);
    ArtifactStore store(folder_ / "store");
    return read_experiment(folder_ / "x.json", overrides, false, store).axes.seeds();
  };
  EXPECT_EQ(seeds({{"seed", 3}}, {"seeds=[1,2]"}), (std::vector<Seed>{1, 2}));
  EXPECT_EQ(seeds({{"seeds", {1, 2}}}, {"seed=3"}), (std::vector<Seed>{3}));
  EXPECT_EQ(seeds({{"seed", 3}}, {"seed=null"}), (std::vector<Seed>{0}));
  EXPECT_EQ(seeds({{"seeds", {1, 2}}}, {"seed=null"}), (std::vector<Seed>{1, 2}));
  EXPECT_EQ(seeds({{"seed", 3}}, {"seed=4", "seeds=[5]"}), (std::vector<Seed>{5})) << "the last one";
  write_file(folder_ / "base.json", read_file(folder_ / "x.json"));
  write_file(folder_ / "x.json", R"({"base": "base.json", "seeds": [7, 8]})");
  ArtifactStore store(folder_ / "store");
  EXPECT_EQ(read_experiment(folder_ / "x.json", {}, false, store).axes.seeds(), (std::vector<Seed>{7, 8}))
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
  ArtifactStore made(folder_ / "store"), store(folder_ / "new", Access::read);
  const auto before = listed();
  const auto e = read_experiment(folder_ / "x.json", {}, false, store);
  Plan work(store);
  add_to_plan(e, work);
  const auto& units = work.units();
  EXPECT_EQ(listed(), before) << "something was made";
  EXPECT_FALSE(e.is_prepared());
  EXPECT_EQ(units.size(), 5u) << "to prepare, one for each person";
  for (const auto& unit : units) EXPECT_TRUE(unit.id.kind == "prepared" && !unit.stored) << unit.id.kind;
  const Table table = plan(e, units);
  ASSERT_EQ(table.rows.size(), 1u);
  EXPECT_EQ(named(table, table.rows[0], "people"), "");
  EXPECT_TRUE(contains(table.notes.at(0), "not prepared yet")) << table.notes.at(0);
  read_experiment(folder_ / "x.json", {}, false, made);
  ArtifactStore to_read(folder_ / "store", Access::read);
  EXPECT_EQ(read_experiment(folder_ / "x.json", {}, false, to_read).dataset.photos.size(), 50u);
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
    return strategy(posting, TableRecogniser{"two", "", judged});
  };
  EXPECT_EQ(of(attack, {late.get()}), "newer");
  EXPECT_EQ(of(attack, {same.get()}), "same year");
  EXPECT_EQ(of(attack, {month.get()}), "same month");
  EXPECT_EQ(of(attack, {old.get()}), "surrogate");
  EXPECT_EQ(of(attack, {adaptive.get()}), "adaptive");
  EXPECT_EQ(of(posting_of("tool", "2021-03", {}), {old.get()}), "older");
  EXPECT_EQ(of(posting_of("noise", "", {}), {adaptive.get()}), "") << "which is no released tool and knows nobody";
  EXPECT_EQ(of(attack, {old.get(), late.get()}), "newer") << "who is asked last decides";
  EXPECT_TRUE(optimises_against(attack, TableRecogniser{"both", "", {old.get(), late.get()}})) << "either of them";
  EXPECT_FALSE(optimises_against(attack, TableRecogniser{"late", "", {late.get()}}));
}

TEST_F(ScenariosTest, EachSeedDrawsItsOwn) {
  const auto e = experiment({{"seeds", {0, 1}}, {"clean_photos", {3}}});
  const auto noise = of(scenarios(e, e.protected_people), "noise");
  ASSERT_EQ(noise.size(), 2u);
  EXPECT_NE(noise[0].trials[0].replaced[0].treatment, noise[1].trials[0].replaced[0].treatment);
  const auto alone = experiment({{"seed", 1}, {"clean_photos", {3}}});
  const auto other = of(scenarios(alone, alone.protected_people), "noise");
  EXPECT_EQ(alone.protected_people.front(), e.protected_people.back());
  EXPECT_EQ(rows(other[0].trials[0].replaced), rows(noise[1].trials[0].replaced));
}

TEST_F(ScenariosTest, ProbesCanBePosedAndOnlyTheirOwnGamesHaveThem) {
  const auto e = experiment({{"probes", {"clean", "as-posted", {{"attack", "noise"}}}}});
  ArtifactStore store(folder_ / "store");
  Study study = study_of(e, e.protected_people, store);
  for (const auto& scenario : study.scenarios()) {
    const auto question = study.question(e.extractors.front(), scenario);
    const auto& sides = *question.sides;
    const bool clean = value(scenario, "probes") == "clean";
    const bool noisy = value(scenario, "probes") == "noise" || (!clean && value(scenario, "attack") == "noise");
    ASSERT_EQ(scenario.probe_overrides.size(), clean ? 0u : 9u) << "three people's three probes";
    for (const auto& pick : scenario.probe_overrides)
      EXPECT_EQ(study.photos().treatment(pick.treatment).attack != nullptr, noisy);
    EXPECT_EQ(sides.overrides_from, 15u);
    EXPECT_EQ(sides.probe_labels.size(), 15 + scenario.probe_overrides.size());
    for (const auto& swap : question.trials) {
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
  ArtifactStore store(folder_ / "store");
  Study study = study_of(e, e.protected_people, store);
  Executor executor(store);
  const auto& photos = study.photos();
  for (const auto& scenario : study.scenarios()) {
    const auto question = study.question(e.extractors.front(), scenario);
    EXPECT_EQ(question.trials.front().rows.size(), 7u) << "which is known before any picture is there";
    asked(e, study, scenario, store);
    const auto posted = scenario.trials.front().replaced.front().treatment;
    for (const auto& stage : photos.stages(posted)) executor.run(stage);
    for (const auto& pictures : {photos.photos(posted).resolved(store), photos.clean(posted).resolved(store)})
      for (const auto& photo : pictures.list()) EXPECT_EQ(side(photo), 32);
    for (const auto& row : photos.budget(posted, store)) EXPECT_EQ(row.linf, 8) << "beside the picture of that size";
    EXPECT_EQ(side(e.dataset.photos.front()), 48) << "everybody else's";
    const auto assembly = assemble(study.split(), scenario);
    for (std::size_t p = 0; p < assembly.probes.size(); ++p)
      EXPECT_EQ(side(resolved({photos.photo_of(assembly.probes[p])}, store).front()), p < 15 ? 48 : 32);
  }
  ArtifactStore to_read(folder_ / "new", Access::read);
  Plan plan(to_read);
  add_to_plan(e, plan);
  EXPECT_FALSE(plan.units().empty());
  for (const auto& unit : plan.units()) EXPECT_TRUE(unit.id.kind != "perturbed" || !unit.needs.empty());
}

// Everybody's gallery of a scenario: how many photos of each person.
std::map<std::string, int> gallery_people(const Experiment& e, const Scenario& scenario) {
  const SplitRows split(e.dataset.photos, e.train, e.test, e.distractors);
  std::map<std::string, int> people;
  for (const auto& pick : assemble(split, scenario).gallery) ++people[e.dataset.photos[pick.photo].person];
  return people;
}

TEST_F(ScenariosTest, DistractorsFillEverybodysGalleryAndNothingElse) {
  draw_people(folder_ / "others/photos", 12, 2);
  fs::rename(folder_ / "others/photos/p11", folder_ / "others/photos/zoe");
  ArtifactStore store(folder_ / "store");
  PrepareOptions options;
  options.detect = false, options.canvas = 48;
  prepare(scan_photos(folder_ / "others/photos"), folder_ / "others/dataset", options, store);
  const Json others = {{"distractors_from", "others/dataset"}, {"attacks", {"noise"}}};
  const auto with = [&](const Json& distractors, const Json& more = Json::object()) {
    auto changes = others;
    changes["distractors"] = distractors;
    changes.update(more);
    return experiment(changes);
  };
  const auto e = with({0, 3, 7});
  const auto all = scenarios(e, e.protected_people).list;
  ASSERT_EQ(all.size(), 3u);
  auto before = gallery_people(e, all[0]);
  EXPECT_EQ(before.size(), 5u) << "p00 to p04, of the data set itself";
  for (const auto& scenario : {all[1], all[2]}) {
    const auto people = gallery_people(e, scenario);
    EXPECT_EQ(people.size(), 5u + std::stoul(value(scenario, "distractors")));
    for (const auto& [person, photos] : before) EXPECT_EQ(people.at(person), photos) << "fewer are among more";
    EXPECT_EQ(scenario.trials.size(), 3u);
    before = people;
  }
  EXPECT_EQ(before.count("zoe"), 1u);
  EXPECT_EQ(before.at("zoe"), 1) << "a photo of each";
  Study study = study_of(e, e.protected_people, store);
  EXPECT_EQ(asked(e, study, study.scenarios()[2], store).sides->gallery.read().size(0), 5 * 7 + 7);
  EXPECT_EQ(study.photos().treatment(TreatmentId(1)).attack->settings().name, "noise");
  EXPECT_EQ(study.photos().photos(TreatmentId(1)).list().size(), 3u * 7) << "nobody perturbs distractors";
  EXPECT_EQ(e.resolved.at("distractors_manifest_sha256"), e.distractors_sha256);
  for (const auto& [wrong, part] : std::vector<std::pair<Json, std::string>>{
           {{{"distractors", {8}}}, "expected at most 7"},
           {{{"distractors", {0}}}, "has no effect"},
           {{{"distractors", {1}}, {"distractors_from", ""}}, "expected the data set"}}) {
    const auto [code, message] = caught([&, w = wrong] { with({1}, w); });
    EXPECT_EQ(code, Exit::usage) << wrong;
    EXPECT_TRUE(contains(message, part)) << message;
  }
}

TEST_F(ScenariosTest, AGalleryCanHaveFewPhotosOfEachPerson) {
  const auto one = experiment({{"gallery_photos", 1}}), three = experiment({{"gallery_photos", 3}});
  for (const auto& [person, photos] : gallery_people(three, scenarios(three, three.protected_people).list[0]))
    EXPECT_EQ(photos, 3) << person;
  EXPECT_EQ(one.train.size(), 5u);
  for (const auto row : one.train)
    EXPECT_TRUE(std::find(three.train.begin(), three.train.end(), row) != three.train.end());
  EXPECT_EQ(one.resolved.at("gallery_photos"), 1);
  EXPECT_FALSE(experiment(Json::object()).resolved.contains("gallery_photos"));
}

// A mask is learned from a few of a person's training photos; the person posts the others, or those.
TEST_F(ScenariosTest, WhatAMaskWasLearnedFromIsPostedOrNot) {
  const Json opom = {{"preset", "opom"}, {"name", "opom"}, {"surrogates", {"./tiny.json"}}, {"steps", 2}};
  const auto e = experiment({{"attacks", {"none", opom}},
                             {"learned_from", {"all", 2, {{"photos", 2}, {"posted", "seen"}}, 5}},
                             {"probes", {"clean", "as-posted"}}});
  const auto masked = of(scenarios(e, e.protected_people), "opom");
  ASSERT_EQ(masked.size(), 8u);
  EXPECT_EQ(of(scenarios(e, e.protected_people), "none").size(), 2u) << "there is no mask";
  const std::vector<std::size_t> posted = {7, 5, 2, 2};
  for (std::size_t i = 0; i < masked.size(); i += 2)
    for (const auto& trial : masked[i].trials) {
      EXPECT_EQ(trial.replaced.size(), posted[i / 2]) << value(masked[i], "learned_from");
      EXPECT_EQ(trial.removed.size(), 7 - posted[i / 2]) << "the person's other photos are not in the gallery";
    }
  for (std::size_t t = 0; t < 3; ++t) {
    const auto seen = rows(masked[4].trials[t].replaced), unseen_by_two = rows(masked[2].trials[t].replaced),
               unseen_by_five = rows(masked[6].trials[t].replaced);
    for (const auto row : seen) EXPECT_FALSE(unseen_by_two.count(row)) << "two halves";
    for (const auto row : unseen_by_five) EXPECT_TRUE(unseen_by_two.count(row)) << "the draw is nested";
  }
  // Probes get the mask that was learned from training photos.
  ArtifactStore store(folder_ / "store");
  Study study = study_of(e, e.protected_people, store);
  Executor executor(store);
  std::map<std::size_t, torch::Tensor> masks;  // of the first protected person, by treatment
  for (const auto& scenario : study.scenarios())
    for (const auto& pick : scenario.probe_overrides) {
      if (pick.treatment == TreatmentId() || e.dataset.photos[pick.photo].person != e.protected_people.front().front())
        continue;
      for (const auto& stage : study.photos().stages(pick.treatment)) executor.run(stage);
      const auto photo = resolved({study.photos().photo_of(pick)}, store),
                 clean = std::vector{e.dataset.photos[pick.photo]};
      const auto change = load_faces(photo).pixels - load_faces(clean).pixels;
      EXPECT_LE(change.abs().max().item<float>(), 8.01 / 255);
      EXPECT_GT(change.abs().max().item<float>(), 0);
      masks[pick.treatment] = change;
    }
  EXPECT_EQ(masks.size(), 3u) << "of all photos, of two, of five";
  const auto budget = study.photos().budget(TreatmentId(2), store);
  EXPECT_EQ(budget.front().attack, "opom, learned from 2");
  const auto half = caught([&] { experiment({{"learned_from", {2}}, {"together", {"half"}}}); });
  EXPECT_EQ(half.code, Exit::usage);
}

// The second attack of a list gets the pictures of the first, and both together are audited against the photo.
TEST_F(ScenariosTest, AnAttackCanBeSeveralInOrder) {
  const Json pgd = {{"preset", "pgd"}, {"name", "pgd"}, {"surrogates", {"./tiny.json"}}, {"steps", 2}};
  const Json stronger = {{"preset", "noise"}, {"name", "strong noise"}, {"epsilon", 16 / 255.0}};
  const auto e = experiment({{"attacks", {"noise", Json::array({"noise", stronger}), Json::array({pgd, "noise"})}}});
  ArtifactStore store(folder_ / "store");
  Study study = study_of(e, e.protected_people, store);
  Executor executor(store);
  std::vector<double> largest;
  for (std::size_t t = 1; t < study.photos().size(); ++t) {
    for (const auto& stage : study.photos().stages(TreatmentId(t))) executor.run(stage);
    double linf = 0;
    for (const auto& row : study.photos().budget(TreatmentId(t), store)) linf = std::max(linf, row.linf);
    largest.push_back(linf);
  }
  EXPECT_EQ(largest[0], 8);
  EXPECT_EQ(largest[1], 24) << "each of them adds its own";
  EXPECT_GT(largest[2], 8);
  EXPECT_EQ(study.photos().treatment(TreatmentId(2)).attack->settings().name, "noise + strong noise");
  std::set<std::string> kinds;
  const auto both = study.photos().treatment(TreatmentId(3)).attack;
  EXPECT_EQ(both->all_surrogates().size(), 1u) << "what an earlier one optimises against counts";
  EXPECT_EQ(e.resolved["attacks"][2]["attacked"], Json::array({"tiny"}));
  EXPECT_NE(both->identity(), make_attack("noise", e.options)->identity());
}

TEST_F(ScenariosTest, WhatIsWrongOnAnAxisIsNamed) {
  for (const auto& [changes, part] : std::vector<std::pair<Json, std::string>>{
           {{{"clean_photos", {-1}}}, "key \"clean_photos\": found -1"},
           {{{"clean_photos", {1.5}}}, "key \"clean_photos\": found 1.5"},
           {{{"clean_photos", {1, 1}}}, "\"1\" is named twice"},
           {{{"clean_photos", 5}}, "expected a list"},
           {{{"seeds", {1}}, {"seed", 1}}, "expected only one of them"},
           {{{"seeds", Json::array()}}, "an empty list"},
           {{{"extractors", Json::array()}}, "key \"extractors\": found an empty list"},
           {{{"budgets", {0}}}, "key \"budgets\": found 0"},
           {{{"budgets", {"8"}}}, "grey levels from 1 to 255"},
           {{{"learned_from", {0}}}, "key \"learned_from\": found 0"},
           {{{"learned_from", {{{"photos", 2}, {"posted", "all"}}}}}, "a number of photos from 1 on"},
           {{{"attacks", {Json::array({Json{{"preset", "noise"}, {"before", "grey"}}, "noise"})}}}, "without it"},
           {{{"attacks", {Json::array()}}}, "or a list of these"},
           {{{"gallery_photos", -1}}, "gallery_photos"},
           {{{"enrolled", {"beside"}}}, "expected replaced, added or absent"},
           {{{"together", {"all"}}}, "expected one or half"},
           {{{"probes", {"dirty"}}}, "as-posted"},
           {{{"probes", {{{"attack", "nois"}}}}}, "noise"},
           {{{"probes", {{{"transform", "none"}}}}}, "{\"transform\": one}"},
           {{{"attacks", {{{"preset", "none"}, {"before", "grey"}}}}}, "this attack does not change photos"},
           {{{"attacks", {{{"preset", "noise"}, {"before", "gray"}}}}}, "grey"},
           {{{"together", {"half"}}, {"enrolled", {"added"}}}, "can only be used with \"enrolled\""},
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
