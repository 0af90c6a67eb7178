// What a card says of itself beyond its contract.
#include "facepoison/card.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

Card with(const fs::path& folder, const Json& changes) {
  Json card = read_json(write_tiny_extractor(folder));
  card.update(changes);
  write_file(folder / "changed.json", card.dump());
  return read_card((folder / "changed.json").string());
}

TEST(Card, AStandInIsOrderedByWhatItStandsForAndSaysSo) {
  const TempFolder folder;
  const Card card = with(folder.path, {{"released", "2026-11"}, {"in_style_of", {{"name", "ArcFace"}, {"year", "2018"}}}});
  EXPECT_EQ(card.order(), "2018");
  EXPECT_EQ(card.release(), "2018 style");
  EXPECT_EQ(card.released, "2026-11");
  const Card plain = with(folder.path, Json::object());
  EXPECT_EQ(plain.order(), plain.released);
  EXPECT_EQ(plain.release(), plain.released);
  EXPECT_TRUE(contains(caught([&] { with(folder.path, {{"in_style_of", {{"name", "ArcFace"}}}}); }).message, "year"));
}

}  // namespace
}  // namespace facepoison::testing
