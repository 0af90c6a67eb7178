// Each person's pictures in a scenario: assemble() by hand.
#include "facepoison/scenario.hpp"

#include "support/support.hpp"

namespace facepoison::testing {
namespace {

// Rows 0 and 1 are ann's gallery, 2 her probe; 3 is bob's gallery, 4 his probe; 5 and 6 are cat's gallery.
SplitRows three_people() {
  std::vector<Photo> photos;
  for (const auto* person : {"ann", "ann", "ann", "bob", "bob", "cat", "cat"}) photos.push_back({.person = person});
  const auto rows = [](std::vector<int> numbers) { return std::vector<PhotoRow>(numbers.begin(), numbers.end()); };
  return {photos, rows({0, 1, 3, 5, 6}), rows({2, 4})};
}

Pick pick(int photo, int treatment) { return {PhotoRow(photo), TreatmentId(treatment)}; }

// "photo:treatment" of each.
std::string written(const std::vector<Pick>& picks) {
  std::string all;
  for (const auto& one : picks)
    all += concat(all.empty() ? "" : " ", std::size_t{one.photo}, ":", std::size_t{one.treatment});
  return all;
}

TEST(Gallery, KnowsWhosePhotosAreWhere) {
  const auto split = three_people();
  EXPECT_EQ(split.people, (std::vector<std::string>{"ann", "bob", "cat"}));
  EXPECT_EQ(split.label_of("cat"), 2);
  EXPECT_EQ(split.probes_of("bob"), std::vector{PhotoRow(4)});
  EXPECT_EQ(split.labels, (std::vector<Label>{0, 0, 0, 1, 1, 2, 2}));
}

TEST(Gallery, ATrialReplacesAddsAndRemoves) {
  Scenario scenario;
  scenario.gallery = TreatmentId(7), scenario.probes = TreatmentId(8);
  scenario.co_protected = {pick(5, 1)};
  scenario.probe_overrides = {pick(2, 3)};
  scenario.trials = {
      {"ann", {pick(1, 2)}, {}, {}}, {"bob", {}, {pick(3, 2)}, {}}, {"cat", {}, {}, {PhotoRow(5), PhotoRow(6)}}};
  const auto found = assemble(three_people(), scenario);
  EXPECT_EQ(written(found.gallery), "0:7 1:7 3:7 5:1 6:7");
  EXPECT_EQ(written(found.probes), "2:8 4:8 2:3");
  EXPECT_EQ(found.overrides_from, 2u);
  EXPECT_EQ(found.trials[0].rows, std::vector{GalleryRow(1)});
  EXPECT_EQ(written(gallery_of(found, 0)), "0:7 1:2 3:7 5:1 6:7");
  EXPECT_EQ(written(gallery_of(found, 1)), "0:7 1:7 3:7 5:1 6:7 3:2");
  EXPECT_EQ(written(gallery_of(found, 2)), "0:7 1:7 3:7");
}

TEST(Gallery, AFilterDropsPicturesWhosever) {
  Scenario scenario;
  scenario.trials = {{"ann", {pick(0, 1), pick(1, 1)}, {}, {}},   // both are perturbed
                     {"bob", {pick(3, 2)}, {}, {}},               // his clean photo is dropped, this one is not
                     {"cat", {pick(5, 0), pick(6, 0)}, {}, {}}};  // nothing is changed, and one is dropped
  const auto dropped = [](const Pick& one) {
    return one.treatment == TreatmentId(1) ||
           (one.treatment == TreatmentId() && (one.photo == PhotoRow(3) || one.photo == PhotoRow(6)));
  };
  const auto found = assemble(three_people(), scenario, dropped);
  EXPECT_EQ(written(found.gallery), "0:0 1:0 5:0");
  EXPECT_EQ(written(gallery_of(found, 0)), "5:0") << "nothing of hers is left";
  EXPECT_EQ(written(gallery_of(found, 1)), "0:0 1:0 5:0 3:2");
  EXPECT_EQ(written(gallery_of(found, 2)), "0:0 1:0 5:0");
  EXPECT_EQ(found.trials[2].rows, std::vector{GalleryRow(2)}) << "a trial without a change is still a trial";
}

}  // namespace
}  // namespace facepoison::testing
