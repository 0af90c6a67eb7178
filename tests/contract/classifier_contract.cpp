// What every classifier in the registry promises.
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
  // Rows that come besides: with others replaced, alone, of two people.
  const auto others = p.probes.narrow(0, 1, 2);
  swaps.push_back({{0}, torch::cat({p.gallery.narrow(0, 0, 1) * -1, others}), {0, 0}});
  swaps.push_back({{}, others, {0, 0}});
  swaps.push_back({{}, others, {2, 1}});
  const auto swapped = classifier_->predict_swapped(p.gallery, p.labels, swaps, p.probes);
  ASSERT_EQ(swapped.size(), swaps.size());
  bool any_changed = false;
  for (std::size_t s = 0; s < swaps.size(); ++s) {
    const auto replaced = static_cast<std::int64_t>(swaps[s].rows.size());
    const auto rows =
        p.gallery.index_copy(0, torch::tensor(swaps[s].rows, torch::kInt64), swaps[s].features.narrow(0, 0, replaced));
    auto labels = p.labels;
    labels.insert(labels.end(), swaps[s].added.begin(), swaps[s].added.end());
    const auto gallery = torch::cat({rows, swaps[s].features.slice(0, replaced)});
    const auto anew = classifier_->predict(gallery, labels, p.probes);
    EXPECT_EQ(swapped[s].labels, anew.labels) << "swap " << s;
    // What is solved step by step ends a hair elsewhere from another start.
    for (std::size_t i = 0; i < anew.distances.size(); ++i)
      EXPECT_NEAR(swapped[s].distances[i], anew.distances[i], GetParam() == "linear" ? 1e-5 : 0) << "swap " << s;
    any_changed |= anew.labels != p.truth;
  }
  EXPECT_TRUE(any_changed) << "no swap mattered: this test shows nothing";
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
