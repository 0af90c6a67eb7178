// Linkage, impersonation and dodging by hand.
#include "experiments/linkage.hpp"

#include <cmath>
#include <set>

#include "experiments/impersonation.hpp"
#include "experiments/people_pairs.hpp"
#include "facepoison/classifier.hpp"
#include "facepoison/digests.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

using Degrees = std::vector<double>;

// Directions at these angles, of different lengths.
torch::Tensor photos_at(const Degrees& degrees) {
  const auto angles = torch::tensor(degrees) * (M_PI / 180);
  const auto lengths = torch::arange(1, angles.size(0) + 1).unsqueeze(1);
  return (lengths * torch::stack({angles.cos(), angles.sin()}, 1)).to(torch::kFloat32);
}

Features features_of(const torch::Tensor& matrix) {
  return {sha256(concat(matrix)), {}, [matrix] { return matrix; }};
}

PostedAlbum album(const std::string& person, Label label, const Degrees& clean, const Degrees& posted) {
  return {person, label, std::vector<std::int64_t>(clean.size()), features_of(photos_at(clean)),
          features_of(photos_at(posted))};
}

void expect_numbers(const std::vector<double>& found, const std::vector<double>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i)
    if (std::isnan(expected[i]))
      EXPECT_TRUE(std::isnan(found[i])) << i << ": " << found[i];
    else
      EXPECT_NEAR(found[i], expected[i], 1e-6) << i;
}

constexpr double not_known = std::numeric_limits<double>::quiet_NaN();

TEST(Linkage, RetrievesHalfOfAnAlbumByTheOther) {
  // Somebody else is at 50°, between the clean photos and the posted ones. The row at 0° is the person's own.
  const auto links =
      link_albums(photos_at({50, 0}), {1, 0}, {album("ann", 0, {0, 10}, {95, 97}), album("bob", 2, {0}, {0})}, 3);
  ASSERT_EQ(links.size(), 2u);
  EXPECT_EQ(links[0].person, "ann");
  EXPECT_EQ(links[0].queries, 1);
  EXPECT_EQ(links[0].pairs, 1);
  EXPECT_EQ(links[0].photos, 2);
  expect_numbers(links[0].retrieved, {1, 0, 0, 1});
  EXPECT_EQ(links[1].queries, 0);
  expect_numbers(links[1].retrieved, {not_known, not_known, not_known, not_known});
}

TEST(Linkage, RetrievesAsManyPhotosAsTheDatabaseHas) {
  // Two photos ask for two each. If the database has the other two directions, one of each two answers is the person's;
  // otherwise somebody else's photos are nearer than both.
  const Degrees alike = {0, 180, 0, 180};
  std::set<double> shares;
  for (Seed seed = 0; seed < 32; ++seed) {
    const auto links = link_albums(photos_at({20, 200, 20, 200}), {1, 1, 1, 1}, {album("ann", 0, alike, alike)}, seed);
    EXPECT_EQ(links[0].queries, 2);
    shares.insert(links[0].retrieved.begin(), links[0].retrieved.end());
  }
  EXPECT_EQ(shares, (std::set<double>{0, .5}));
}

TEST(Linkage, LinksPhotosNearerThanThoseOfDifferentPeople) {
  // Cid's first photo is 0.5° from ann's, nearer than any two photos of one person. One in a hundred of 12 pairs is
  // none, so nothing is accepted.
  const auto links = link_albums(
      photos_at({0}), {9},
      {album("ann", 0, {0, 1}, {0, 1}), album("bob", 1, {90, 91}, {90, 91}), album("cid", 2, {0, 1}, {0.5, 180})}, 0);
  for (const auto& person : links) {
    expect_numbers(person.accepted, {0, 0});
    expect_numbers({person.precision, person.recall, person.f}, {1, .5, 2. / 3});
  }
}

TEST(Linkage, ChainsOfPhotosJoinPeople) {
  // 40 photos each; one of ann's is 2° from one of bob's, all other pairs of the two are 46° apart or more. Of 1600
  // pairs one may pass, so the threshold is at 46°.
  Degrees ann(39, 0), bob(39, 90);
  ann.push_back(44), bob.push_back(46);
  const auto links = link_albums(photos_at({0}), {9}, {album("ann", 0, ann, ann), album("bob", 1, bob, bob)}, 0);
  for (const auto& person : links) {
    EXPECT_EQ(person.pairs, 780);
    expect_numbers(person.accepted, {1, 1});
    expect_numbers({person.precision, person.recall, person.f}, {.5, 1, 2. / 3});
  }
}

TEST(Linkage, OfOnePersonHasNoThreshold) {
  const auto links = link_albums(photos_at({50}), {1}, {album("ann", 0, {0, 10}, {0, 10})}, 0);
  expect_numbers(links[0].retrieved, {1, 1, 1, 1});
  expect_numbers(links[0].accepted, {not_known, not_known});
  expect_numbers({links[0].precision, links[0].recall, links[0].f}, {not_known, not_known, not_known});
  EXPECT_THROW(link_albums(torch::zeros({1, 2}), {1}, {}, 0), NoDirection);
}

TEST(PairsOfPeople, HaveThresholdsByRate) {
  // Distances 1 − cos of 1° to 100° between one photo and a hundred.
  Degrees fan;
  for (int degree = 1; degree <= 100; ++degree) fan.push_back(degree);
  const auto unit = [](const Degrees& degrees) {
    const auto rows = photos_at(degrees).to(torch::kFloat64);
    return rows / rows.norm(2, 1, true);
  };
  const PeoplePairs pairs({unit({0}), unit(fan)});
  EXPECT_EQ(pairs.impostors(), 100);
  const auto found = pairs.thresholds(std::array{"0.001", "0.01", "0.1"});
  const auto distance = [](double degrees) { return 1 - std::cos(degrees * M_PI / 180); };
  ASSERT_EQ(found.size(), 3u);
  EXPECT_NEAR(found[0], distance(1), 1e-6);
  EXPECT_NEAR(found[1], distance(2), 1e-6);
  EXPECT_NEAR(found[2], distance(11), 1e-6);
}

// Persons 1 and 2 are at 0°, and at 60° and 90°: the nearest pair is 60° apart. The protected person 0 is at 200° and
// 210°.
PeopleToPass people_to_pass(const std::set<Label>& strangers) {
  return {photos_at({200, 210, 0, 60, 90}), {0, 0, 1, 2, 2}, strangers};
}

TEST(Impersonation, IsOfTheMostSimilarOtherPerson) {
  const auto people = people_to_pass({1, 2});
  expect_numbers({1 - people.thresholds()[2]}, {std::cos(M_PI / 3)});
  const auto ann = people.judge(album("ann", 0, {200, 210}, {65, 205}));
  EXPECT_EQ(ann.target, 2) << "25° and 5° from the first photo";
  EXPECT_EQ(ann.own_pairs, 2) << "not a photo and its own clean version";
  EXPECT_EQ(ann.target_pairs, 4);
  expect_numbers(ann.dodging, {.5, .5, .5});        // 65° is far from 210°, 205° is near to 200°
  expect_numbers(ann.impersonation, {.5, .5, .5});  // 65° passes for both of the target's photos, 205° for none
}

TEST(Impersonation, IsNotKnownWithoutOthers) {
  const auto few = people_to_pass({1});
  const auto ann = few.judge(album("ann", 0, {200, 210}, {65, 205}));
  expect_numbers(ann.dodging, {not_known, not_known, not_known});
  expect_numbers(ann.impersonation, {not_known, not_known, not_known});
  const auto people = people_to_pass({1, 2});
  expect_numbers(people.judge(album("ann", 0, {200}, {65})).dodging, {not_known, not_known, not_known});
  const auto alone = PeopleToPass(photos_at({200, 210}), {0, 0}, {}).judge(album("ann", 0, {200, 210}, {65, 205}));
  EXPECT_EQ(alone.target, -1);
  EXPECT_EQ(alone.target_pairs, 0);
  expect_numbers(alone.impersonation, {not_known, not_known, not_known});
}

}  // namespace
}  // namespace facepoison::testing
