// From photos to a data set, without a detector: crops as they are, and landmarks from a file.
#include "facepoison/prepare.hpp"

#include <cmath>
#include <fstream>

#include "support/support.hpp"

namespace facepoison {
namespace {

using namespace testing;

class PrepareTest : public ::testing::Test {
 protected:
  PrepareTest() {
    options_.detect = false;
    options_.canvas = 48;
  }
  fs::path photos() const { return folder_ / "photos"; }
  void put(const std::string& id, const std::string& bytes) { write_file(photos() / id, bytes); }
  Dataset run(const std::string& output = "dataset") {
    ArtifactStore store(folder_ / "store");
    const Dataset dataset = prepare(scan_photos(photos()), folder_ / output, options_, store);
    misses_ = store.misses();
    return dataset;
  }
  // rejected.csv as id → reason.
  std::map<std::string, std::string> rejected() const {
    std::map<std::string, std::string> reasons;
    for (const auto& row : read_csv(folder_ / "dataset/rejected.csv").rows) reasons[text(row.at(0))] = text(row.at(2));
    return reasons;
  }
  static std::vector<std::string> ids(const Dataset& dataset) {
    std::vector<std::string> out;
    for (const auto& photo : dataset.photos) out.push_back(photo.id);
    return out;
  }

  TempFolder folder_;
  PrepareOptions options_;
  std::size_t misses_ = 0;
};

TEST_F(PrepareTest, TakesTheChosenPeopleOnly) {
  draw_people(photos(), 12, 2);
  options_.people = {"p0[12]", "p11"};
  EXPECT_EQ(run().people(), (std::vector<std::string>{"p01", "p02", "p11"}));
  options_.people = {"p1", "zoe"};
  EXPECT_EQ(caught([&] { run("other"); }).code, Exit::usage);
}

TEST_F(PrepareTest, TakesAPersonsFirstPhotos) {
  draw_people(photos(), 2, 5);
  put("p00/a.txt.jpg", "no picture");  // the first by name counts, though it is rejected
  options_.photos_per_person = 3;
  EXPECT_EQ(ids(run()),
            (std::vector<std::string>{"p00/v0.png", "p00/v1.png", "p01/v0.png", "p01/v1.png", "p01/v2.png"}));
}

TEST_F(PrepareTest, TakesCropsAsTheyAreWithoutDetection) {
  draw_people(photos(), 2, 10);
  put("landmarks.csv", "id,a,b,c,d,e,f,g,h,i,j\n");  // not asked for
  const Dataset dataset = run();
  EXPECT_EQ(dataset.side, 48);
  ASSERT_EQ(dataset.photos.size(), 20u);
  std::size_t train = 0;
  for (const auto& photo : dataset.photos) {
    EXPECT_FALSE(photo.landmarks);
    EXPECT_EQ(sha256_of_file(photo.path), photo.sha256);
    EXPECT_EQ(sha256_of_file(photos() / photo.source), photo.source_sha256);
    train += photo.train();
  }
  EXPECT_EQ(train, 14u);
  EXPECT_EQ(decode_image(read_file(dataset.photos[11].path), Exif::ignore).rgb,
            draw_photo(1, 1).rgb);  // 48 pixels already
  EXPECT_EQ(dataset.rejected, 0u);
}

TEST_F(PrepareTest, SquashesCropsToTheCanvas) {
  put("A/1.png", encode_png(resize_image(draw_photo(0, 0), 90, 61)));
  const Image canvas = decode_image(read_file(run().photos[0].path), Exif::ignore);
  EXPECT_EQ(canvas.width, 48);
  EXPECT_EQ(canvas.height, 48);
}

TEST_F(PrepareTest, AlignsByTheLandmarksFile) {
  options_ = {};
  const Image photo = draw_photo(0, 0, 220);
  for (const char* id : {"A/1.png", "A/2.png", "A/3.png"}) put(id, encode_png(photo));
  std::string csv = "id,a,b,c,d,e,f,g,h,i,j\nA/1.png";
  for (const auto& p : canvas_landmarks()) csv += "," + text(p.x + 5) + "," + text(p.y + 9);
  put("landmarks.csv", csv + "\nA/3.png,1,1,1,1,1,1,1,1,1,1\n");
  const Dataset dataset = run();
  EXPECT_EQ(dataset.side, canvas_side);
  ASSERT_EQ(ids(dataset), std::vector<std::string>{"A/1.png"});
  const Image expected = crop_image(photo, 5, 9, canvas_side, canvas_side),
              canvas = decode_image(read_file(dataset.photos[0].path), Exif::ignore);
  double worst = 0;
  for (std::size_t i = 0; i < canvas.rgb.size(); ++i)
    worst = std::max(worst, std::abs(static_cast<double>(canvas.rgb[i]) - expected.rgb[i]));
  EXPECT_LE(worst, 1);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_NEAR(dataset.photos[0].landmarks->at(i).x, canvas_landmarks()[i].x, 1e-9);
  EXPECT_EQ(rejected(), (std::map<std::string, std::string>{{"A/2.png", "not in landmarks.csv"},
                                                            {"A/3.png", "the five landmarks coincide"}}));
}

TEST_F(PrepareTest, ListsBadPhotosAndGoesOn) {
  draw_people(photos(), 1, 4);
  const auto png = encode_png(draw_photo(0, 0));
  put("p00/cut.png", png.substr(0, png.size() / 2)), put("p00/page.jpg", "<html>404</html>"), put("p00/empty.jpg", ""),
      put("p00/x.webp", "RIFF");
  fs::create_directories(photos() / "nobody");
  const Dataset dataset = run();
  EXPECT_EQ(ids(dataset), (std::vector<std::string>{"p00/v0.png", "p00/v1.png", "p00/v2.png", "p00/v3.png"}));
  const auto reasons = rejected();
  EXPECT_EQ(reasons.size(), 5u);
  EXPECT_EQ(dataset.rejected, 5u);
  for (const auto& [id, part] :
       {std::pair{"p00/cut.png", "truncated"}, std::pair{"p00/page.jpg", "HTML"}, std::pair{"p00/empty.jpg", "empty"},
        std::pair{"p00/x.webp", "not a JPEG"}, std::pair{"nobody/", "no photos"}})
    EXPECT_TRUE(reasons.count(id) && contains(reasons.at(id), part)) << id;
}

TEST_F(PrepareTest, ListsADamagedPhotoWhoseReasonQuotesIt) {
  draw_people(photos(), 1, 2);
  auto png = encode_png(draw_photo(0, 0));
  png[37] = static_cast<char>(0xff);  // a chunk whose name is no text
  put("p00/odd.png", png);
  EXPECT_EQ(run().photos.size(), 2u);
  EXPECT_EQ(rejected().count("p00/odd.png"), 1u);
}

TEST_F(PrepareTest, ListsAPhotoThatCannotBeRead) {
  draw_people(photos(), 1, 2);
  fs::create_symlink("gone.png", photos() / "p00/link.png");
  EXPECT_EQ(run().photos.size(), 2u);
  EXPECT_EQ(rejected().count("p00/link.png"), 1u);
}

TEST_F(PrepareTest, ListsWhateverItDoesNotUse) {
  draw_people(photos(), 1, 2);
  const std::string heic = std::string("\0\0\0\x18", 4) + "ftypheic", name = std::string(248, 'x') + ".jpg";
  put("p00/IMG_1", heic), put("p00/" + name, encode_jpeg(draw_photo(0, 7), 90));
  put("p00/album/1.jpg", encode_jpeg(draw_photo(0, 8), 90)), put("p00/w.jfif", encode_jpeg(draw_photo(0, 9), 90));
  fs::create_directory_symlink("/", photos() / "linked");
  EXPECT_EQ(ids(run()), (std::vector<std::string>{"p00/v0.png", "p00/v1.png", "p00/w.jfif"}));
  const auto reasons = rejected();
  EXPECT_EQ(reasons.size(), 4u);
  for (const auto& [id, part] :
       {std::pair{std::string("p00/IMG_1"), "HEIC"}, std::pair{"p00/" + name, "252 bytes"},
        std::pair{std::string("p00/album/1.jpg"), "sub-folder"}, std::pair{std::string("linked/"), "leaves"}})
    EXPECT_TRUE(reasons.count(id) && contains(reasons.at(id), part)) << id;
  ArtifactStore store(folder_ / "store");
  const auto first = dataset_of(photos(), options_, store).rejected;
  put("p00/album/2.jpg", encode_jpeg(draw_photo(0, 10), 90));
  EXPECT_EQ(dataset_of(photos(), options_, store).rejected, first + 1) << "the store's data set is another";
}

TEST_F(PrepareTest, SaysWhatWasRejectedWhereNothingIsLeft) {
  put("A/2019/1.jpg", "x");
  const auto [code, message] = caught([&] { run(); });
  EXPECT_EQ(code, Exit::input);
  EXPECT_TRUE(contains(message, "A/2019/1.jpg: in a sub-folder")) << message;
}

TEST_F(PrepareTest, NamesAPhotoWhoseNameIsNoText) {  // Latin-1, from an old archive
  draw_people(photos(), 1, 2);
  put("p00/Ren\xe9.png", encode_png(draw_photo(0, 5)));
  try {
    EXPECT_EQ(run().photos.size(), 2u);
    EXPECT_EQ(rejected().count("p00/Ren\xe9.png"), 1u);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::input);
  }
}

TEST_F(PrepareTest, FlagsDuplicatesWithinAndAcrossPeopleWhereTheyAreKept) {
  draw_people(photos(), 2, 3);
  put("p00/v9.png", encode_png(draw_photo(0, 1))), put("p01/v9.png", encode_png(draw_photo(0, 1)));
  options_.drop_duplicates = false;
  const Dataset dataset = run();
  std::map<std::string, std::string> flagged;
  for (const auto& photo : dataset.photos)
    if (!photo.duplicate_of.empty()) flagged[photo.id] = photo.duplicate_of;
  EXPECT_EQ(flagged, (std::map<std::string, std::string>{{"p00/v9.png", "p00/v1.png"}, {"p01/v9.png", "p00/v1.png"}}));
  EXPECT_EQ(dataset.photos.size(), 8u);
  EXPECT_EQ(dataset.rejected, 0u);
}

// One picture in two people's folders, and a smaller copy of it; `csv` gives each person's landmarks.
TEST_F(PrepareTest, TakesTwoFacesInOnePictureForTwo) {
  options_ = {};
  const Image couple = draw_photo(0, 0, 400);
  for (const char* id : {"A/1.png", "A/3.png", "B/1.png"}) put(id, encode_png(couple));
  put("B/2.png", encode_png(resize_image(couple, 200, 200)));
  std::string csv = "id,a,b,c,d,e,f,g,h,i,j\n";
  const auto face_at = [&](const std::string& id, double x, double scale) {
    csv += id;
    for (const auto& p : canvas_landmarks()) csv += "," + text((p.x + x) * scale) + "," + text((p.y + 60) * scale);
    csv += "\n";
  };
  face_at("A/1.png", 0, 1), face_at("A/3.png", 0, 1), face_at("B/1.png", 200, 1), face_at("B/2.png", 203, 0.5);
  put("landmarks.csv", csv);
  EXPECT_EQ(ids(run()), (std::vector<std::string>{"A/1.png", "B/1.png"}));
  const std::map<std::string, std::string> expected = {{"A/3.png", "duplicate of A/1.png"},
                                                       {"B/2.png", "near duplicate of B/1.png"}};
  EXPECT_EQ(rejected(), expected);
}

TEST_F(PrepareTest, KeepsTheLowestIdOfManyCopiesAndNoPictureOfItsOwnIsLost) {
  options_.canvas = 16;
  for (int i = 0; i < 600; ++i)  // more than are compared at once
    put(concat("p/", 1000 + i, ".png"), encode_png(draw_photo(i % 5 == 4 ? 0 : i, i % 5 == 4 ? 0 : i, 48)));
  const Dataset dataset = run();
  EXPECT_EQ(dataset.photos.front().id, "p/1000.png");
  EXPECT_EQ(dataset.photos.size(), 480u);
  EXPECT_EQ(rejected().size(), 120u);
  for (const auto& [id, reason] : rejected()) EXPECT_EQ(reason, "duplicate of p/1000.png") << id;
}

TEST_F(PrepareTest, MakesACanvasAgainThatWasEditedInPlace) {
  draw_people(photos(), 1, 2);
  const fs::path canvas = run().photos[1].path;
  const std::string before = read_file(canvas);
  std::ofstream(canvas, std::ios::binary) << encode_png(draw_photo(5, 5));  // the same file as the store's
  EXPECT_EQ(caught([&] { read_dataset(folder_ / "dataset"); }).code, Exit::input);
  EXPECT_EQ(read_file(run().photos[1].path), before);
}

TEST_F(PrepareTest, DropsDuplicatesBeforeItSplits) {
  draw_people(photos(), 2, 5);
  const Dataset before = run("before");
  put("p00/v10.png", encode_png(draw_photo(0, 1))),
      put("p01/v9.png", encode_png(draw_photo(0, 2)));  // one before v0 … v4, one after
  const Dataset after = run();
  ASSERT_EQ(after.photos.size(), before.photos.size());
  for (std::size_t i = 0; i < after.photos.size(); ++i)
    EXPECT_EQ(after.photos[i].split, before.photos[i].split) << after.photos[i].id;
  const auto reasons = rejected();
  EXPECT_EQ(reasons.at("p01/v9.png"), "duplicate of p00/v2.png");
  EXPECT_EQ(reasons.size(), 2u);
}

TEST_F(PrepareTest, DropsNearDuplicatesByDefaultAndSaysSo) {
  draw_people(photos(), 2, 3, 96);
  const Image original = draw_photo(0, 1, 96);
  Image brighter = original;
  for (auto& value : brighter.rgb) value = static_cast<std::uint8_t>(std::min(255, value * 11 / 10));
  put("p00/w-half.png", encode_png(resize_image(original, 48, 48)));
  put("p00/w-jpeg.jpg", encode_jpeg(original, 75));
  put("p01/w-bright.png", encode_png(brighter));
  const Dataset dataset = run();
  EXPECT_EQ(dataset.photos.size(), 6u) << "what was drawn apart stays";
  const auto reasons = rejected();
  for (const auto* id : {"p00/w-half.png", "p00/w-jpeg.jpg", "p01/w-bright.png"})
    EXPECT_EQ(reasons.at(id), "near duplicate of p00/v1.png") << id;
  const auto notes = duplicate_notes(dataset);
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_TRUE(contains(notes[0], "dropped: 3 near (2 within and 1 across people)")) << notes[0];
}

TEST_F(PrepareTest, CountsTheTwinsInTheGalleryOfWhatWasKept) {
  draw_people(photos(), 1, 2);
  put("p00/v9.png", encode_png(draw_photo(0, 0)));
  options_.drop_duplicates = false;
  const auto notes = duplicate_notes(run());
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_TRUE(contains(notes[0], "kept: 1 exact (1 within and 0 across people)")) << notes[0];
  EXPECT_TRUE(contains(notes[0], "have a twin in the gallery")) << notes[0];
}

TEST_F(PrepareTest, ToolsFilesBesideTheirOriginalsAreNoPhotos) {
  draw_people(photos(), 1, 3);
  for (const auto* name :
       {"p00/v0_attacked.png", "p00/v0_small.png", "p00/v1_high_cloaked.png", "p00/alone_cloaked.png"})
    put(name, encode_png(draw_photo(3, name[6])));
  const Dataset dataset = run();
  ASSERT_EQ(dataset.photos.size(), 4u);
  EXPECT_EQ(dataset.photos[0].id, "p00/alone_cloaked.png") << "without an original it is a photo";
  EXPECT_EQ(duplicate_notes(dataset), std::vector<std::string>{tools_note(3)});
}

TEST_F(PrepareTest, ACanvasThatWasEditedIsNoticed) {
  draw_people(photos(), 2, 3);
  const Dataset dataset = run();
  EXPECT_NO_THROW(read_dataset(dataset.folder));
  EXPECT_TRUE(fs::exists(dataset.folder / "verified.txt"));
  const auto& edited = dataset.photos[2];
  const auto time = fs::last_write_time(edited.path);
  std::string bytes = read_file(edited.path);
  bytes[bytes.size() / 2] ^= 1;
  fs::remove(edited.path);  // not the store's file
  write_file(edited.path, bytes);
  fs::last_write_time(edited.path, time);  // size and mtime as they were: the inode and ctime tell
  const auto error = caught([&] { read_dataset(dataset.folder); });
  EXPECT_EQ(error.code, Exit::input);
  EXPECT_TRUE(contains(error.message, edited.id)) << error.message;
}

TEST_F(PrepareTest, GivesTheSameBytesAgainFromTheStore) {
  draw_people(photos(), 3, 4);
  put("p00/bad.png", "x");
  run();
  EXPECT_EQ(misses_, 3u);
  run("again");
  EXPECT_EQ(misses_, 0u);
  for (const char* file : {"manifest.jsonl", "rejected.csv"})
    EXPECT_EQ(read_file(folder_ / "again" / file), read_file(folder_ / "dataset" / file));
  put("p01/v2.png", encode_png(draw_photo(7, 7)));
  EXPECT_EQ(run("again").photos.size(), 12u);
  EXPECT_EQ(misses_, 1u);  // that person's block alone
}

TEST_F(PrepareTest, MakesOtherCanvasesForAnotherSide) {
  draw_people(photos(), 1, 2);
  run();
  options_.canvas = 32;
  EXPECT_EQ(run("smaller").side, 32);
  EXPECT_EQ(misses_, 1u);
}

TEST_F(PrepareTest, HasOneCanvasSideForAlignedFaces) {
  draw_people(photos(), 1, 2);
  options_.detect = true;
  const auto [code, message] = caught([&] { run(); });
  EXPECT_EQ(code, Exit::usage);
  EXPECT_TRUE(contains(message, "48") && contains(message, "184")) << message;
}

TEST_F(PrepareTest, NeedsAUsablePhoto) {
  fs::create_directories(photos() / "nobody");
  EXPECT_EQ(caught([&] { run(); }).code, Exit::input);
  put("A/1.jpg", "<html>");
  const auto [code, message] = caught([&] { run(); });
  EXPECT_EQ(code, Exit::input);
  EXPECT_FALSE(is_dataset(folder_ / "dataset"));
}

TEST_F(PrepareTest, SplitsByTheRuleAskedFor) {
  draw_people(photos(), 1, 7);
  options_.split_rule = "facecure";  // random.seed(10); random.sample(range(7), 2) is 0 and 4
  std::string tests;
  for (const auto& photo : run().photos) tests += photo.test() ? "t" : ".";
  EXPECT_EQ(tests, "t...t..");
}

TEST(PrepareOptions, ReadTheirOwnRecord) {
  const Json json = {{"detect", false},
                     {"canvas", 64},
                     {"split_rule", "facecure"},
                     {"split", 0.5},
                     {"seed", 9},
                     {"drop_duplicates", false},
                     {"people", {"ann", "b*"}},
                     {"face", "middle"},
                     {"photos_per_person", 12}};
  Spec spec(json, "x.json"), defaults(Json::object(), "x.json"), wrong({{"split", 1.5}}, "x.json"),
      small({{"canvas", 15}}, "x.json"), left({{"face", "left"}}, "x.json");
  EXPECT_EQ(PrepareOptions::from(spec).record(), json);
  EXPECT_NO_THROW(spec.finish());
  EXPECT_EQ(PrepareOptions::from(defaults).record(), PrepareOptions{}.record());
  EXPECT_EQ(caught([&] { PrepareOptions::from(wrong); }).code, Exit::usage);
  EXPECT_EQ(caught([&] { PrepareOptions::from(small); }).code, Exit::usage);
  EXPECT_EQ(caught([&] { PrepareOptions::from(left); }).code, Exit::usage);
}

TEST_F(PrepareTest, IsDoneOnceForAFolderOfPhotos) {
  draw_people(photos(), 2, 3);
  ArtifactStore store(folder_ / "store"), later(folder_ / "store");
  const Dataset first = dataset_of(photos(), options_, store), again = dataset_of(photos(), options_, later);
  EXPECT_EQ(first.folder, again.folder);
  EXPECT_EQ(later.misses(), 0u);
  EXPECT_EQ(dataset_of(first.folder, {}, later).manifest_sha256, first.manifest_sha256);  // a data set is read as it is
  options_.seed = 1;
  EXPECT_NE(dataset_of(photos(), options_, later).folder, first.folder);
}

TEST_F(PrepareTest, KeepsTheSplitThatAFolderHas) {
  draw_people(photos() / "train", 2, 3);
  draw_people(photos() / "val", 2, 3);
  for (int p = 0; p < 2; ++p)
    for (int v = 0; v < 3; ++v)
      put(concat("val/p0", p, "/v", v, ".png"), encode_png(draw_photo(p, v + 3)));  // other pictures, the same names
  options_.train_share = 0.5;
  const Dataset dataset = run();
  ASSERT_EQ(dataset.photos.size(), 12u);
  for (const auto& photo : dataset.photos) {
    EXPECT_EQ(photo.split, photo.id.starts_with("train/") ? Split::train : Split::test) << photo.id;
    EXPECT_EQ(photo.person, photo.id.substr(photo.id.find('/') + 1, 3));
  }
  EXPECT_EQ(dataset.people(), (std::vector<std::string>{"p00", "p01"}));
}

// Files that reading a manifest writes next to it are not part of the artefact.
TEST_F(PrepareTest, AStoreThatWasCopiedIsWhole) {
  draw_people(photos(), 2, 3);
  {
    ArtifactStore store(folder_ / "one");
    dataset_of(photos(), options_, store);
  }
  fs::copy(folder_ / "one", folder_ / "two", fs::copy_options::recursive);
  ArtifactStore copied(folder_ / "two");
  for (int time = 0; time < 2; ++time) dataset_of(photos(), options_, copied);
  EXPECT_EQ(copied.misses(), 0u);
  EXPECT_FALSE(copied.artefacts().empty());
  for (const auto& artefact : copied.artefacts()) EXPECT_EQ(copied.damage_of(artefact), "") << artefact.folder;
}

}  // namespace
}  // namespace facepoison
