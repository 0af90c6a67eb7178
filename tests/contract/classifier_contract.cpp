// Contract of every classifier in the registry.
#include "facepoison/classifier.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

class ClassifierContract : public ::testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Classifier> classifier_ = make_classifier(GetParam());
};

// Six people, each around a corner of their own.
struct Problem {
  torch::Tensor gallery, probes;
  std::vector<std::int64_t> labels, truth;
};

Problem easy_problem() {
  const torch::NoGradGuard no_grad;
  auto generator = at::make_generator<at::CPUGeneratorImpl>(5);
  const auto corners = torch::randn({6, 8}, generator) * 5;
  Problem out;
  for (int i = 0; i < 30; ++i) out.labels.push_back(i % 6);
  for (int i = 0; i < 12; ++i) out.truth.push_back(i % 6);
  out.gallery = corners.index_select(0, torch::tensor(out.labels)) + 0.3 * torch::randn({30, 8}, generator);
  out.probes = corners.index_select(0, torch::tensor(out.truth)) + 0.3 * torch::randn({12, 8}, generator);
  return out;
}

TEST_P(ClassifierContract, NamesWellSeparatedPeople) {
  const auto p = easy_problem();
  EXPECT_EQ(classifier_->predict(p.gallery, p.labels, p.probes).labels, p.truth);
}

TEST_P(ClassifierContract, SwapsAsIfItHadStartedAnew) {
  const auto p = easy_problem();
  std::vector<Swap> swaps;
  for (std::int64_t person = 0; person < 6; ++person) {
    std::vector<std::int64_t> rows;
    for (std::int64_t i = 0; i < 30; ++i)
      if (p.labels[static_cast<std::size_t>(i)] == person && (person > 0 || i > 5))
        rows.push_back(i);  // person 0 only in part
    swaps.push_back({rows, p.gallery.index_select(0, torch::tensor(rows)) * -1});
  }
  swaps.push_back({{0, 1}, p.gallery.narrow(0, 0, 2) * -1});  // rows of two people
  // Additional rows: with others replaced, alone, of two people.
  const auto others = p.probes.narrow(0, 1, 2);
  swaps.push_back({{0}, torch::cat({p.gallery.narrow(0, 0, 1) * -1, others}), {0, 0}});
  swaps.push_back({{}, others, {0, 0}});
  swaps.push_back({{}, others, {2, 1}});
  swaps.push_back({{}, others, {6, 6}});  // of a new person
  // Removed rows: some, some of a person with other rows new, all of a person, none.
  swaps.push_back({{}, p.gallery.narrow(0, 0, 0), {}, {3, 9}});
  swaps.push_back({{4}, p.gallery.narrow(0, 4, 1) * -1, {4}, {10, 16}});
  swaps.back().features = torch::cat({swaps.back().features, others.narrow(0, 0, 1)});
  swaps.push_back({{}, p.gallery.narrow(0, 0, 0), {}, {5, 11, 17, 23, 29}});
  swaps.push_back({{}, p.gallery.narrow(0, 0, 0)});
  const auto swapped = classifier_->predict_swapped(p.gallery, p.labels, swaps, p.probes);
  ASSERT_EQ(swapped.size(), swaps.size());
  bool any_changed = false;
  for (std::size_t s = 0; s < swaps.size(); ++s) {
    const auto replaced = static_cast<std::int64_t>(swaps[s].rows.size());
    const auto rows =
        p.gallery.index_copy(0, torch::tensor(swaps[s].rows, torch::kInt64), swaps[s].features.narrow(0, 0, replaced));
    std::vector<std::int64_t> left, labels;
    for (std::int64_t row = 0; row < 30; ++row)
      if (!std::count(swaps[s].removed.begin(), swaps[s].removed.end(), row)) left.push_back(row);
    for (const auto row : left) labels.push_back(p.labels[static_cast<std::size_t>(row)]);
    labels.insert(labels.end(), swaps[s].added.begin(), swaps[s].added.end());
    const auto gallery = torch::cat({rows.index_select(0, torch::tensor(left)), swaps[s].features.slice(0, replaced)});
    const auto anew = classifier_->predict(gallery, labels, p.probes);
    EXPECT_EQ(swapped[s].labels, anew.labels) << "swap " << s;
    // An iterative solver ends at slightly different numbers from another start.
    for (std::size_t i = 0; i < anew.distances.size(); ++i)
      EXPECT_NEAR(swapped[s].distances[i], anew.distances[i], GetParam() == "linear" ? 1e-5 : 0) << "swap " << s;
    any_changed |= anew.labels != p.truth;
  }
  EXPECT_TRUE(any_changed) << "no swap mattered: this test shows nothing";
}

// The first guess is predict()'s answer; without that person predict() gives the second guess, and so on.
TEST_P(ClassifierContract, RanksPeopleInTheOrderInWhichItWouldNameThem) {
  auto p = easy_problem();
  p.probes = torch::randn({12, 8}, at::make_generator<at::CPUGeneratorImpl>(6)) * 5;  // far from everybody
  const auto trained = classifier_->train(p.gallery, p.labels, p.probes);
  const auto rows_of = [&](std::int64_t person) {
    std::vector<std::int64_t> rows;
    for (std::int64_t i = 0; i < 30; ++i)
      if (p.labels[static_cast<std::size_t>(i)] == person) rows.push_back(i);
    return rows;
  };
  std::set<std::int64_t> seen;
  for (std::int64_t person = 0; person < 6; ++person) {
    const auto rows = rows_of(person);
    const Swap same{rows, p.gallery.index_select(0, torch::tensor(rows)), {}, {}, {0, 3, 4, 11}};
    const Swap gone{{}, p.gallery.narrow(0, 0, 0), {}, rows, {0, 3, 4, 11}};
    const auto found = trained->predict_swapped(std::vector{same, gone});
    EXPECT_EQ(found[1].ranks, std::vector<std::int64_t>(4, 0));
    ASSERT_EQ(found[0].ranks.size(), 4u);
    for (std::size_t i = 0; i < 4; ++i) {
      const auto probe = static_cast<std::size_t>(same.asked[i]);
      seen.insert(found[0].ranks[i]);
      EXPECT_EQ(found[0].ranks[i] == 1, found[0].labels[probe] == person);
      EXPECT_NE(found[1].labels[probe], person);
      if (found[0].ranks[i] != 1) continue;
      // The second guess is the answer without the first, except if a fit or a vote changes without the first.
      const auto second = found[1].labels[probe];
      const auto own = rows_of(second);
      const Swap other{own, p.gallery.index_select(0, torch::tensor(own)), {}, {}, {same.asked[i]}};
      if (GetParam() != "linear" && GetParam() != "k-nearest") {
        EXPECT_EQ(trained->predict_swapped(std::vector{other})[0].ranks.front(), 2);
      }
    }
  }
  EXPECT_EQ(seen, (std::set<std::int64_t>{1, 2, 3, 4, 5, 6}));
}

// Small whole numbers, with equal sums on every processor: 4 people with 3 photos each, 6 probes.
Problem whole_numbers() {
  Problem out;
  out.gallery = torch::empty({12, 4}), out.probes = torch::empty({6, 4});
  for (std::int64_t i = 0; i < 12; ++i) {
    out.labels.push_back(i % 4);
    for (std::int64_t d = 0; d < 4; ++d) out.gallery[i][d] = static_cast<double>((7 * i + 5 * d + 3 * i * d) % 11 - 5);
  }
  for (std::int64_t p = 0; p < 6; ++p)
    for (std::int64_t d = 0; d < 4; ++d)
      out.probes[p][d] = static_cast<double>((5 * p + 9 * d + 2 * p * d + 3) % 13 - 6);
  return out;
}

// The cache keys answers by a classifier's version, so changed answers need a new version.
TEST_P(ClassifierContract, TheSameVersionGivesTheSameAnswers) {
  const auto p = whole_numbers();
  const std::vector<std::int64_t> own = {1, 5, 9}, all = {0, 1, 2, 3, 4, 5};
  const auto negated = p.gallery.index_select(0, torch::tensor(own)) * -1;
  const std::vector<Swap> swaps = {{{}, p.gallery.narrow(0, 0, 0)},
                                   {own, negated, {}, {}, all},
                                   {{}, negated, {1, 1, 1}, {}, all},
                                   {{}, p.gallery.narrow(0, 0, 0), {}, own, all}};
  const auto answers = classifier_->predict_swapped(p.gallery, p.labels, swaps, p.probes);
  Json found = {{"version", classifier_->identity().at("version")}, {"answers", Json::array()}};
  for (const auto& one : answers)
    found["answers"].push_back({{"labels", one.labels}, {"ranks", one.ranks}, {"distances", one.distances}});
  const Json golden =
      read_json(fs::path(FACEPOISON_ROOT) / "tests/golden/classifiers.json").value(GetParam(), Json::object());
  const auto without_distances = [](Json json) {
    if (json.contains("answers"))
      for (auto& one : json["answers"]) one.erase("distances");
    return json;
  };
  bool same = without_distances(golden) == without_distances(found);
  for (std::size_t s = 0; same && s < answers.size(); ++s)
    for (std::size_t i = 0; i < answers[s].distances.size(); ++i)
      same &= std::abs(golden["answers"][s]["distances"][i].get<double>() - answers[s].distances[i]) < 1e-5;
  EXPECT_TRUE(same)
      << "If the change is meant, raise the classifier's version in src/classifiers/registry.cpp, and write "
      << "to tests/golden/classifiers.json:\n\"" << GetParam() << "\": " << found.dump();
}

// float64 data are compared in float64: a common offset hides nothing.
TEST_P(ClassifierContract, ComparesDoublesAsDoubles) {
  const auto p = easy_problem();
  auto gallery = p.gallery.to(torch::kFloat64) * 0.01, probes = p.probes.to(torch::kFloat64) * 0.01;
  if (GetParam() != "nearest-cosine") gallery += 1e7, probes += 1e7;
  EXPECT_EQ(classifier_->predict(gallery, p.labels, probes).labels, p.truth);
}

TEST_P(ClassifierContract, IsKnownByEveryParameterAndItsVersion) {
  const Json identity = classifier_->identity();
  EXPECT_EQ(identity.at("classifier"), GetParam());
  EXPECT_TRUE(identity.contains("version"));
  EXPECT_EQ(make_classifier(Json{{"classifier", GetParam()}, {"name", "mine"}})->identity(), identity);
  if (GetParam() == "k-nearest") {
    EXPECT_EQ(identity, make_classifier(Json{{"classifier", "k-nearest"}, {"k", 5}})->identity()) << "the default";
    EXPECT_NE(identity, make_classifier(Json{{"classifier", "k-nearest"}, {"k", 3}})->identity());
  }
}

TEST_P(ClassifierContract, RefusesWhatIsNotFiniteOrDoesNotFit) {
  auto p = easy_problem();
  EXPECT_EQ(caught([&] { classifier_->predict(torch::empty({0, 8}), {}, p.probes); }).code, Exit::input);
  EXPECT_EQ(caught([&] { classifier_->predict(p.gallery, p.labels, p.probes.narrow(1, 0, 7)); }).code, Exit::input);
  p.gallery[3][2] = std::nan("");
  EXPECT_EQ(caught([&] { classifier_->predict(p.gallery, p.labels, p.probes); }).code, Exit::input);
}

std::vector<std::string> classifier_names() {
  std::vector<std::string> names;
  for (const auto& row : classifier_registry()) names.push_back(row.name);
  return names;
}
INSTANTIATE_TEST_SUITE_P(Registry, ClassifierContract, ::testing::ValuesIn(classifier_names()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace facepoison::testing
