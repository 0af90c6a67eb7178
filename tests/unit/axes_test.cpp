// The registry of axes: the defaults of a config, and the order in which values are combined and written.
#include "facepoison/axes.hpp"

#include "report/run_folder.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

using Words = std::vector<std::string>;

Axes axes_of(const Json& config) {
  Spec spec(config, "x.json");
  return Axes::from(spec, {});
}

TEST(Axes, AConfigThatSaysNothingIsNeutral) {
  const auto axes = axes_of({{"attacks", {"none"}}});
  for (std::size_t axis = 1; axis < axis_columns.size(); ++axis)
    EXPECT_TRUE(axes.is_neutral(Axis(axis))) << axis_columns[axis].name;
  const auto all = combinations(axes);
  ASSERT_EQ(all.size(), 1u);
  for (std::size_t axis = 1; axis < axis_columns.size(); ++axis)
    EXPECT_EQ(all[0].coordinates()[axis],
              std::pair(std::string(axis_columns[axis].name), std::string(axis_columns[axis].neutral)));
}

TEST(Axes, TheLastAxisVariesFastest) {
  Words found;
  for (const auto& one :
       combinations(axes_of({{"attacks", {"noise", "none"}}, {"clean_photos", {2, 0}}, {"seeds", {7, 3}}})))
    found.push_back(concat(one.attack->name, " ", one.clean_photos, " ", one.seed, " ", one.draw));
  EXPECT_EQ(found, (Words{"noise 2 7 0", "noise 2 3 1", "noise 0 7 0", "noise 0 3 1", "none 2 7 0", "none 2 3 1",
                          "none 0 7 0", "none 0 3 1"}));
}

TEST(Axes, CombinationsThatMakeNoDifferenceAreOne) {
  const auto count = [](const Json& config) { return combinations(axes_of(config)).size(); };
  const Json attacks = {"noise", "none"};
  EXPECT_EQ(count({{"attacks", attacks}, {"transforms", {"none", "grey"}}, {"transform_on", {"gallery", "probes"}}}),
            6u)
      << "without a transform it makes no difference what it is on";
  EXPECT_EQ(count({{"attacks", attacks}, {"clean_photos", {0, 1}}, {"enrolled", {"replaced", "absent"}}}), 5u)
      << "who is absent has posted nothing";
}

TEST(Axes, ABudgetIsOfAttacksThatHaveABound) {
  Words found;
  for (const auto& one : combinations(axes_of({{"attacks", {"none", "noise"}}, {"budgets", {"own", 2, 16}}}))) {
    const auto& attack = one.attack->parts.front().first->settings();
    found.push_back(concat(one.names[0], " ", one.names[index_of(Axis::budget)], ": ", attack.name));
    if (one.budget) {
      EXPECT_DOUBLE_EQ(attack.parameters.at("epsilon").get<double>(), static_cast<double>(one.budget) / 255);
    }
  }
  EXPECT_EQ(found, (Words{"none : none", "noise own: noise", "noise 2: noise at 2/255", "noise 16: noise at 16/255"}));
}

TEST(Axes, ATransformIsOnAllThatIsNamed) {
  const auto all = axes_of({{"attacks", {"none"}}, {"transform_on", {"probes+perturbed"}}}).each(Axis::transform_on);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_TRUE(all[0].transform_on.probes && all[0].transform_on.perturbed && !all[0].transform_on.gallery);
  EXPECT_EQ(all[0].names[index_of(Axis::transform_on)], "probes+perturbed");
}

TEST(Axes, ProbesUnderAnAttackAreNotCleanWhateverItIsCalled) {
  const Json attack = {{"preset", "noise"}, {"name", "clean"}};
  const auto axes = axes_of({{"attacks", {"none"}}, {"probes", {{{"attack", attack}}}}});
  EXPECT_FALSE(axes.is_neutral(Axis::probes));
  EXPECT_EQ(combinations(axes).front().probes.kind, ProbeOverride::Kind::attack);
}

// Older runs are read by these names, and new ones must be comparable with them.
TEST(Axes, TablesHaveTheirColumnsInThisOrder) {
  EXPECT_EQ(key_columns,
            (Words{"extractor", "released", "strategy", "attack", "budget", "learned_from", "transform", "transform_on",
                   "clean_photos", "enrolled", "together", "probes", "distractors", "filter", "classifier", "seed"}));
}

}  // namespace
}  // namespace facepoison::testing
