// Perturbed photos of another tool: their pairs with clean photos, and that they are aligned like these.
#include "facepoison/prepare.hpp"
#include "facepoison/posted.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

class FilesAttack : public ::testing::Test {
 protected:
  void SetUp() override {
    setenv("FACEPOISON_HOME", FACEPOISON_ROOT, 1);
    draw_people(folder_ / "photos", 2, 3, 96);
    std::string landmarks = "id,a,b,c,d,e,f,g,h,i,j\n";
    for (const auto* photo : {"p00/v0", "p00/v1", "p00/v2", "p01/v0", "p01/v1", "p01/v2"})
      landmarks += concat(photo, ".png,30,36,64,38,47,55,33,70,61,72\n");
    write_file(folder_ / "photos/landmarks.csv", landmarks);
    ArtifactStore store(folder_ / "store");
    dataset_ = prepare(scan_photos(folder_ / "photos"), folder_ / "dataset", {}, store);
    fs::create_directories(folder_ / "cloaks");
  }
  void TearDown() override { unsetenv("FACEPOISON_HOME"); }

  // Writes a tool's output for a photo: `name` below the cloaks' folder.
  void put(const std::string& photo, const std::string& name, int side = 96) {
    const Image image = decode_image(read_file(folder_ / "photos" / photo), Exif::ignore);
    write_file(folder_ / "cloaks" / name, encode_png(resize_image(image, side, side)));
  }
  void put_all(const std::string& suffix, int side = 96) {
    for (const auto& photo : dataset_.photos)
      put(photo.source, photo.person + "/face/" + fs::path(photo.source).stem().string() + suffix + ".png", side);
  }
  Posted run(Json extra = Json::object()) {
    Json request = {{"preset", "files"}, {"folder", (folder_ / "cloaks").string()}};
    request.update(extra);
    ArtifactStore store(folder_ / "store");
    auto posted = perturb(dataset_.photos, dataset_.photos, *make_attack(request, {}), 0, {}, store);
    EXPECT_EQ(posted.budget.size(), dataset_.photos.size());
    return posted;
  }

  TempFolder folder_;
  Dataset dataset_;
};

TEST_F(FilesAttack, GivesTheCleanCanvasForUnchangedPhotos) {
  put_all("_high_cloaked");
  const Posted album = run();
  ASSERT_EQ(album.photos.size(), 6u);
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(album.photos[i].sha256, dataset_.photos[i].sha256) << album.photos[i].id;
    EXPECT_EQ(album.budget[i].linf, 0);
    EXPECT_EQ(album.budget[i].status, "ok");
  }
}

TEST_F(FilesAttack, MovesTheLandmarksWithThePicturesSize) {
  put_all("_cloaked", 192);
  for (const auto& row : run().budget) EXPECT_GT(row.psnr, 30) << row.id;
}

TEST_F(FilesAttack, ListsWhatIsMissingAndKeepsItCleanOnlyWhereAsked) {
  put_all("_attacked");
  fs::remove(folder_ / "cloaks/p01/face/v1_attacked.png");
  put("p00/v0.png", "p00/face/zz_attacked.png");  // left over, without a photo
  const auto error = caught([&] { run(); });
  EXPECT_EQ(error.code, Exit::input);
  EXPECT_TRUE(contains(error.message, "1 of 6 photos")) << error.message;
  EXPECT_TRUE(contains(error.message, "p01/v1.png")) << error.message;
  const Posted album = run({{"missing", "keep"}});
  EXPECT_EQ(album.budget[4].id, "p01/v1.png");
  EXPECT_EQ(album.budget[4].status, "missing");
  EXPECT_EQ(album.photos[4].sha256, dataset_.photos[4].sha256);
  EXPECT_EQ(album.budget[3].status, "ok");
}

TEST_F(FilesAttack, APlanNamesWhatIsToBePairedAndMakesNothing) {
  put_all("_cloaked");
  fs::remove(folder_ / "cloaks/p01/face/v1_cloaked.png");
  const Json keep = {{"preset", "files"}, {"folder", (folder_ / "cloaks").string()}, {"missing", "keep"}};
  const auto attack = make_attack(keep, {});
  const auto files = [&] {
    std::set<std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path)) all.insert(entry.path());
    return all;
  };
  const auto planned = [&](const std::shared_ptr<const Attack>& by) {
    ArtifactStore store(folder_ / "store", Access::read);
    Plan plan(store);
    const auto before = files();
    const PerturbedPhotos photos(StagedPhotos(dataset_.photos), dataset_.photos, *by, 0, {});
    for (const auto& stage : photos.stages()) plan.add(stage);
    EXPECT_EQ(files(), before) << "something was made";
    return plan.units();
  };
  const auto count = [](const std::vector<PlannedUnit>& plan, const std::string& arrow, bool stored) {
    return std::count_if(plan.begin(), plan.end(),
                         [&](const auto& unit) { return unit.id.kind == arrow && unit.stored == stored; });
  };
  const auto first = planned(attack);
  EXPECT_EQ(count(first, "paired", false), 5);
  EXPECT_EQ(count(first, "perturbed", false), 2);
  for (const auto& unit : first) {
    if (unit.id.kind == "perturbed") {
      EXPECT_GE(unit.needs.size(), 2u) << "the pairs that it is made of";
    }
  }
  run({{"missing", "keep"}});
  const auto second = planned(attack);
  EXPECT_EQ(count(second, "paired", true), 5);
  EXPECT_EQ(count(second, "perturbed", true), 2);
  Json resampled = keep;
  resampled["before"] = {{"transform", "side"}, {"side", 96}};
  EXPECT_EQ(count(planned(make_attack(resampled, {})), "paired", false), 5) << "of pictures that are not there yet";
}

TEST_F(FilesAttack, AsksWhichOfTwo) {
  put_all("_attacked");
  put_all("_small", 48);
  EXPECT_TRUE(contains(caught([&] { run(); }).message, "set \"suffix\" to choose one"));
  EXPECT_EQ(run({{"suffix", "_attacked"}}).budget[0].linf, 0);
  EXPECT_EQ(caught([&] { run({{"suffix", "_evil"}}); }).code, Exit::usage);
}

TEST_F(FilesAttack, RefusesAPictureThatIsNone) {
  put_all("_cloaked");
  write_file(folder_ / "cloaks/p00/face/v2_cloaked.png", "<html>404</html>");
  const auto error = caught([&] { run(); });
  EXPECT_EQ(error.code, Exit::input);
  EXPECT_TRUE(contains(error.message, "v2_cloaked.png")) << error.message;
}

TEST_F(FilesAttack, RefusesAPictureOfSomethingElse) {
  put_all("_cloaked");
  put("p01/v1.png", "p00/face/v1_cloaked.png");  // somebody else
  const auto error = caught([&] { run(); });
  EXPECT_EQ(error.code, Exit::input);
  for (const auto* part : {"1 of 6", "v1_cloaked.png for p00/v1.png", "dB"})
    EXPECT_TRUE(contains(error.message, part)) << error.message;
  EXPECT_NO_THROW(run({{"least_psnr", 0}}));
}

TEST_F(FilesAttack, RefusesAPictureOnItsSideButNoPerturbedOne) {
  put_all("_cloaked");
  const Image upright = decode_image(read_file(folder_ / "photos/p00/v0.png"), Exif::ignore);
  Image lying = upright, noisy = upright;
  for (int y = 0; y < 96; ++y)
    for (int x = 0; x < 96; ++x)
      for (int c = 0; c < 3; ++c) {
        const auto at = [&](int column, int row) { return static_cast<std::size_t>((row * 96 + column) * 3 + c); };
        lying.rgb[at(95 - y, x)] = upright.rgb[at(x, y)];
        noisy.rgb[at(x, y)] =
            static_cast<std::uint8_t>(std::clamp(upright.rgb[at(x, y)] + ((x * 7 + y * 13) % 2 ? 33 : -33), 0, 255));
      }
  const auto name = folder_ / "cloaks/p00/face/v0_cloaked.png";
  write_file(name, encode_png(noisy));
  EXPECT_EQ(run().budget[0].status, "ok") << "33 grey levels, as much as LowKey";
  write_file(name, encode_png(lying));
  EXPECT_EQ(caught([&] { run(); }).code, Exit::input);
}

TEST_F(FilesAttack, TakesPerturbedCanvasesAsTheyAre) {
  for (const auto& photo : dataset_.photos) {
    const auto name = photo.path.stem().string() + "_cloaked.png";  // v0.png_cloaked.png
    fs::create_directories(folder_ / "cloaks" / photo.person);
    fs::copy_file(photo.path, folder_ / "cloaks" / photo.person / name);
  }
  for (const auto& row : run({{"of", "canvas"}}).budget) EXPECT_EQ(row.linf, 0) << row.id;
}

// A wide photo, so that one on its side has another frame.
class FilesAttackPicture : public FilesAttack, public ::testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    FilesAttack::SetUp();
    PrepareOptions options;
    options.detect = GetParam();
    if (!options.detect) options.canvas = 112;
    std::string landmarks = "id,a,b,c,d,e,f,g,h,i,j\n";
    for (int i = 0; i < 2; ++i) {
      write_file(folder_ / concat("wide/p00/v", i, ".png"), encode_png(photo(i)));
      landmarks += concat("p00/v", i, ".png,60,36,94,38,77,55,63,70,91,72\n");
    }
    write_file(folder_ / "wide/landmarks.csv", landmarks);
    ArtifactStore store(folder_ / "store");
    dataset_ = prepare(scan_photos(folder_ / "wide"), folder_ / "wide-dataset", options, store);
  }
  static Image photo(int i) { return crop_image(draw_photo(i, i, 144), 0, 24, 144, 96); }
  void put_both(const Image& first) {
    write_file(folder_ / "cloaks/p00/v0_cloaked.png", encode_png(first));
    write_file(folder_ / "cloaks/p00/v1_cloaked.png", encode_png(photo(1)));
  }
};

TEST_P(FilesAttackPicture, RefusesAnotherOneThanThePhoto) {
  const Image own = photo(0);
  const std::vector<std::pair<std::string, Image>> wrong = {{"on its side", lying(own)},
                                                            {"cropped", crop_image(own, 36, 8, 80, 80)},
                                                            {"letterboxed", crop_image(own, 0, -40, 144, 176)},
                                                            {"somebody else", photo(1)}};
  for (const auto& [what, image] : wrong) {
    put_both(image);
    for (const char* missing : {"refuse", "keep"}) {
      const auto [code, message] = caught([&] { run({{"missing", missing}}); });
      EXPECT_EQ(code, Exit::input) << what;
      for (const auto* part : {"1 of 2 files", "p00/v0_cloaked.png for p00/v0.png (", " dB)", "at least 22 dB"})
        EXPECT_TRUE(contains(message, part)) << what << ": " << message;
    }
    EXPECT_EQ(run({{"least_psnr", 0}}).budget[0].status, "ok") << what;
  }
}

TEST_P(FilesAttackPicture, TakesAStrongPerturbationAndASquashedFile) {
  Image noisy = photo(0);
  for (std::size_t i = 0; i < noisy.rgb.size(); ++i)
    noisy.rgb[i] = static_cast<std::uint8_t>(std::clamp(noisy.rgb[i] + (i * 7919 % 13 < 6 ? -32 : 32), 0, 255));
  const Image saved_again = decode_image(encode_jpeg(photo(0), 30), Exif::ignore);
  for (const Image& image : {noisy, resize_image(photo(0), 72, 72), saved_again}) {
    put_both(image);
    EXPECT_EQ(run().budget[0].status, "ok");
  }
}

TEST_P(FilesAttackPicture, StretchesASquashedFileToThePhotosFrame) {
  put_both(resize_image(photo(0), 112, 112));
  EXPECT_GT(run().budget[0].psnr, 28);
}

INSTANTIATE_TEST_SUITE_P(Aligned, FilesAttackPicture, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "yes" : "no"; });

TEST_F(FilesAttack, KnowsPicturesByTheirContentsAndPassesOverHiddenFiles) {
  put_all("_cloaked");
  const auto face = folder_ / "cloaks/p00/face";
  write_file(face / "v0_cloaked.jfif", encode_jpeg(decode_image(read_file(face / "v0_cloaked.png"), Exif::ignore), 95));
  fs::rename(face / "v1_cloaked.png", face / "v1_cloaked");
  fs::remove(face / "v0_cloaked.png");
  write_file(face / "._v0_cloaked.png", "what macOS leaves");
  write_file(face / "v0_cloaked.txt", "settings");
  for (const auto& row : run().budget) EXPECT_EQ(row.status, "ok") << row.id;
  fs::rename(face / "v1_cloaked", folder_ / "elsewhere.png");
  fs::create_symlink(folder_ / "elsewhere.png", face / "v1_cloaked.png");
  EXPECT_TRUE(contains(caught([&] { run(); }).message, "p00/v1.png")) << "a link that leaves the folder";
}

TEST_F(FilesAttack, ComparesNamesHoweverTheirAccentsAreWritten) {
  const std::string one = "Jos\u00e9", two = "Jose\u0301";
  put_all("_cloaked");
  fs::rename(folder_ / "cloaks/p00", folder_ / ("cloaks/" + two));
  fs::rename(folder_ / ("cloaks/" + two + "/face/v1_cloaked.png"),
             folder_ / ("cloaks/" + two + "/face/" + two + "_cloaked.png"));
  for (auto& photo : dataset_.photos)
    if (photo.person == "p00") {
      photo.person = one;
      photo.source = one + "/" + (photo.id == "p00/v1.png" ? one + ".png" : fs::path(photo.id).filename().string());
    }
  for (const auto& row : run().budget) EXPECT_EQ(row.status, "ok") << row.id;
}

// Photos of a folder that is already split: one name on both sides.
TEST_F(FilesAttack, TellsTheSidesOfASplitTreeApart) {
  put_all("_cloaked");
  fs::create_directories(folder_ / "cloaks/train");
  for (const std::string person : {"p00", "p01"})
    fs::rename(folder_ / "cloaks" / person, folder_ / "cloaks/train" / person);
  auto everybody = dataset_.photos;
  for (auto& photo : dataset_.photos) photo.source = "train/" + photo.source;
  for (auto& photo : everybody) photo.source = "val/" + photo.source, photo.id = "val/" + photo.id;
  everybody.insert(everybody.end(), dataset_.photos.begin(), dataset_.photos.end());
  const Json request = {{"preset", "files"}, {"folder", (folder_ / "cloaks").string()}};
  ArtifactStore store(folder_ / "store");
  const auto posted = perturb(dataset_.photos, everybody, *make_attack(request, {}), 0, {}, store);
  EXPECT_EQ(posted.budget.size(), 6u);
  for (const auto& row : posted.budget) EXPECT_EQ(row.status, "ok") << row.id;
}

TEST_F(FilesAttack, RefusesOneFileForTwoPhotos) {
  put_all("_cloaked");
  dataset_.photos[1].source = "p00/v0.PNG";  // v0.png and v0.PNG, one of them the test photo
  auto train = dataset_.photos;
  train.erase(train.begin() + 1);
  for (const auto& album : {dataset_.photos, train}) {
    ArtifactStore store(folder_ / "store");
    const auto attack = make_attack({{"preset", "files"}, {"folder", (folder_ / "cloaks").string()}}, {});
    const auto [code, message] = caught([&] { perturb(album, dataset_.photos, *attack, 0, {}, store); });
    EXPECT_EQ(code, Exit::input);
    for (const auto* part : {"v0_cloaked.png fits two photos", "p00/v0.png", "p00/v1.png"})
      EXPECT_TRUE(contains(message, part)) << message;
  }
}

TEST_F(FilesAttack, PairsPhotosWhoseOwnNameEndsLikeAToolsSuffix) {
  put_all("_attacked");
  fs::remove_all(folder_ / "cloaks/p00");
  dataset_.photos[0].source = "p00/v0_small.png", put("p00/v0.png", "p00/v0_small_cloaked.png");
  dataset_.photos[1].source = "p00/v1_cloaked.png", put("p00/v1.png", "p00/v1_cloaked.png");
  dataset_.photos[2].source = "p00/v2_low.png", put("p00/v2.png", "p00/v2_low_cloaked.png");
  for (const auto& row : run().budget) EXPECT_EQ(row.linf, 0) << row.id;
}

}  // namespace
}  // namespace facepoison::testing
