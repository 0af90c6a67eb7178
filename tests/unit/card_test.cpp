// A card's facts beyond its contract.
#include "facepoison/card.hpp"

#include "facepoison/extractor.hpp"
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
  const Card card =
      with(folder.path, {{"released", "2026-11"}, {"in_style_of", {{"name", "ArcFace"}, {"year", "2018"}}}});
  EXPECT_EQ(card.order(), "2018");
  EXPECT_EQ(card.release(), "2018 style");
  EXPECT_EQ(card.released, "2026-11");
  const Card plain = with(folder.path, Json::object());
  EXPECT_EQ(plain.order(), plain.released);
  EXPECT_EQ(plain.release(), plain.released);
  EXPECT_TRUE(contains(caught([&] { with(folder.path, {{"in_style_of", {{"name", "ArcFace"}}}}); }).message, "year"));
}

TEST(Card, WhatOnlyTheExportKnowsComesFromItsRecord) {
  const TempFolder folder;
  const auto card_of = [&](const Json& source) {
    Json card = read_json(write_tiny_extractor(folder.path));
    card.erase("dimension");
    card.update({{"file", "./exported.pt"}, {"source", source}});
    write_file(folder / "published.json", card.dump());
    return read_card((folder / "published.json").string());
  };
  const Json exported = {{"export", "scripts/export/fawkes.py x.h5"}};
  EXPECT_EQ(card_of(exported).dimension, 0);
  write_file(folder / "exported.json", R"({"dimension": 7, "golden": {"file": "golden/x.npy"}})");
  EXPECT_EQ(card_of(exported).dimension, 7);
  EXPECT_EQ(card_of(exported).golden, folder / "golden/x.npy");
  EXPECT_TRUE(contains(caught([&] { card_of(Json::object()); }).message, "dimension"));
}

TEST(Card, APublishedFileIsFetchedByName) {
  const TempFolder folder;
  Json card = read_json(write_tiny_extractor(folder.path));
  card.erase("dimension");
  card.update({{"file", "./exported.pt"}, {"published", {{"exporter", "fawkes {file} --name changed"}}}});
  write_file(folder / "changed.json", card.dump());
  const auto read = [&] { return read_card((folder / "changed.json").string()); };
  EXPECT_EQ(read().how_to_get(), "scripts/fetch_models.py changed");
  EXPECT_EQ(read().dimension, 0) << "it is known after the export";
  EXPECT_EQ(read().verified, "");
  write_file(folder / "exported.json", R"({"source": {"exported_sha256": "00", "verified": "md5, first use"}})");
  EXPECT_EQ(read().verified, "md5, first use");
  EXPECT_EQ(read().origin, "00");
  card["published"] = "fawkes";
  write_file(folder / "changed.json", card.dump());
  EXPECT_TRUE(contains(caught(read).message, "key \"published\": found \"fawkes\", expected an object"));
}

TEST(Card, AnInputMayBeARectangle) {
  const TempFolder folder;
  Json card = read_json(write_tiny_extractor(folder.path));
  const auto read = [&](const Json& size, const std::string& template_name) {
    Json changed = card;
    changed["input"].erase("side");
    changed["input"].update(size);
    changed["input"]["template"] = template_name;
    write_file(folder / "changed.json", changed.dump());
    return read_card((folder / "changed.json").string());
  };
  const auto faces = drawn_faces(2, 184, true);
  const Json upright = {{"width", 96}, {"height", 112}}, square = {{"side", 112}};
  const auto narrow = read(upright, "arcface-112");
  const auto view = view_under(narrow, faces);
  EXPECT_EQ(view.sizes(), torch::IntArrayRef({2, 3, 112, 96}));
  // The template's square without eight columns at each side.
  EXPECT_TRUE(torch::allclose(view, view_under(read(square, "arcface-112"), faces).narrow(3, 8, 96), 0, 1e-4));
  EXPECT_EQ(seen_under(narrow, faces).sizes(), torch::IntArrayRef({2, 1, 184, 184}));
  EXPECT_LT(seen_under(narrow, faces).sum().item<float>(),
            seen_under(read(square, "arcface-112"), faces).sum().item<float>());
  EXPECT_EQ(view_under(read(upright, "none"), faces).sizes(), view.sizes());
  EXPECT_EQ(narrow.contract().at("width"), 96);
  EXPECT_FALSE(narrow.contract().contains("side"));
  EXPECT_EQ(read(square, "none").contract().at("side"), 112);
  EXPECT_TRUE(contains(caught([&] { read({{"width", 96}}, "none"); }).message, "height"));
  EXPECT_TRUE(contains(caught([&] { read({{"side", 112}, {"width", 96}, {"height", 112}}, "none"); }).message, "side"));
}

TEST(Card, ItsHashMayBeInCapitals) {
  const TempFolder folder;
  auto hash = read_json(write_tiny_extractor(folder.path)).at("sha256").get<std::string>();
  std::transform(hash.begin(), hash.end(), hash.begin(), [](unsigned char c) { return std::toupper(c); });
  with(folder.path, {{"sha256", hash}});
  EXPECT_NO_THROW(make_extractor((folder / "changed.json").string(), {}));
}

TEST(Card, IsMissingAKeyWhateverElseIsRight) {
  const TempFolder folder;
  Json card = read_json(write_tiny_extractor(folder.path));
  card.erase("title");
  write_file(folder / "untitled.json", card.dump());
  const auto message = caught([&] { read_card((folder / "untitled.json").string()); }).message;
  EXPECT_TRUE(message.ends_with("key \"title\": missing")) << message;
}

TEST(Card, AWholePictureIsSquashedOrItsMiddleCropped) {
  const TempFolder folder;
  Card card = with(folder.path, {{"input",
                                  {{"side", 32},
                                   {"template", "none"},
                                   {"channels", "rgb"},
                                   {"scale", 1.0},
                                   {"mean", {0, 0, 0}},
                                   {"std", {1, 1, 1}},
                                   {"resize", "centre-crop"}}}});
  const Image tall = crop_image(draw_photo(0, 0, 48), 0, 0, 32, 35);
  // Its shorter side fits already. 1.5 rows are left over on each side, which torchvision rounds to the even number.
  EXPECT_TRUE(torch::equal(view_under(card, tall), to_tensor(crop_image(tall, 0, 2, 32, 32))));
  card.resize = Resize::squash;
  EXPECT_TRUE(
      torch::equal(view_under(card, tall), to_tensor(resample_image(tall, 32, 32, Interpolation::bilinear, false))));
}

}  // namespace
}  // namespace facepoison::testing
