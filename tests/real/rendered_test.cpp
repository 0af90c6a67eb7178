// The bundled rendered people, seen by the fetched detector and recognisers.
#include <cmath>

#include "facepoison/detect.hpp"
#include "facepoison/photos.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

const fs::path gallery = fs::path(FACEPOISON_ROOT) / "data/rendered";

bool fetched(const std::string& name) { return fs::exists(fs::path(FACEPOISON_ROOT) / "models" / (name + ".pt")); }

double distance(Point a, Point b) { return std::hypot(a.x - b.x, a.y - b.y); }

TEST(RealRendered, TheDetectorFindsTheFacesWhereTheMeshSaysTheyAre) {
  if (!fetched("mtcnn")) GTEST_SKIP() << "models/mtcnn.pt is not here; scripts/fetch_models.py fetches it";
  const PhotoFolder folder = scan_photos(gallery);
  const FaceDetector detector;
  int seen = 0, found = 0;
  std::vector<double> errors;
  for (std::size_t i = 0; i < folder.photos.size(); i += 19, ++seen) {
    const auto faces = detector.detect(decode_image(read_file(folder.photos[i].path), Exif::rotate));
    if (faces.empty()) continue;
    ++found;
    const auto& marks = folder.landmarks.at(folder.photos[i].id);
    const double size = distance({(marks[0].x + marks[1].x) / 2, (marks[0].y + marks[1].y) / 2},
                                 {(marks[3].x + marks[4].x) / 2, (marks[3].y + marks[4].y) / 2});
    for (std::size_t k = 0; k < 5; ++k) errors.push_back(distance(marks[k], faces.front().landmarks[k]) / size);
  }
  EXPECT_GE(found, 0.95 * seen) << "of " << seen;
  std::sort(errors.begin(), errors.end());
  EXPECT_LT(errors[errors.size() / 2], 0.09) << "median, in eye–mouth distances";
}

// One face is large and at the side, one small and nearer the middle.
TEST(RealRendered, TheFaceInTheMiddleIsTakenWhereItIsAskedFor) {
  if (!fetched("mtcnn")) GTEST_SKIP() << "models/mtcnn.pt is not here; scripts/fetch_models.py fetches it";
  const auto photo = [](const char* id) { return decode_image(read_file(gallery / id), Exif::rotate); };
  Image both = crop_image(resize_image(photo("gallery-000/00.jpg"), 300, 300), 0, 0, 480, 300);
  const Image small = resize_image(photo("gallery-001/00.jpg"), 80, 80);
  for (int y = 0; y < 80; ++y)
    std::copy_n(small.rgb.begin() + y * 80 * 3, 80 * 3, both.rgb.begin() + ((y + 110) * 480 + 260) * 3);
  const TempFolder folder;
  write_file(folder / "photos/A/1.png", encode_png(both));
  write_file(folder / "lfw/A_B/A_B_0001.jpg", encode_jpeg(both, 95));
  for (const auto& [photos, face, left, right] :
       {std::tuple{"photos", "prominent", 0, 260}, std::tuple{"photos --face middle", "middle", 260, 340},
        std::tuple{"lfw", "middle", 260, 340}}) {
    const auto run = run_binary(concat("prepare ", photos, " -o ", face, " --store store"), folder.path);
    ASSERT_EQ(run.code, 0) << run.err;
    EXPECT_TRUE(contains(run.err, concat("photos that show several faces: 1; the ", face, " one is used"))) << run.err;
    const auto prepared = read_dataset(folder / face);
    for (const auto& point : *prepared.photos.front().source_landmarks)
      EXPECT_TRUE(left < point.x && point.x < right) << face << ": " << point.x;
  }
}

TEST(RealRendered, RecognisersKnowThePeople) {
  const std::vector<std::string> names{"dlib", "mobilefacenet", "hse-faceres", "faceplugin"};
  for (const auto& name : names)
    if (!fetched(name)) GTEST_SKIP() << "models/" << name << ".pt is not here; scripts/fetch_models.py fetches it";
  const TempFolder folder;
  const auto ten = concat("prepare '", gallery.string(), "' --photos-per-person 10 -o dataset --store store");
  ASSERT_EQ(run_binary(ten, folder.path).code, 0);
  EXPECT_TRUE(read_csv(folder / "dataset/rejected.csv").rows.empty());
  std::vector<double> shares;
  for (const auto& name : names) {
    const auto outcome =
        run_binary(concat("identify dataset dataset --classifier nearest-cosine --store store -e ", name), folder.path);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const Table table = parse_csv(outcome.out, "stdout");
    double right = 0;
    for (const auto& row : table.rows) right += as_number(row[4], "correct");
    shares.push_back(right / static_cast<double>(table.rows.size()));
  }
  std::sort(shares.begin(), shares.end());
  EXPECT_GE(shares[0], 0.90);
  EXPECT_GE(shares[1], 0.95);
  EXPECT_LT(shares[0], 1) << "people whom nobody confuses measure nothing";
}

// Swaps the channels on the card of a network that needs the other order. (With mobilefacenet and faceplugin, so many
// rendered people do not show it.)
TEST(RealRendered, CheckFindsThatTheChannelsAreSwapped) {
  if (!fetched("dlib")) GTEST_SKIP() << "models/dlib.pt is not here; scripts/fetch_models.py fetches it";
  const TempFolder folder;
  ASSERT_EQ(run_binary(concat("prepare '", gallery.string(), "' -o dataset --store store"), folder.path).code, 0);
  const fs::path root = FACEPOISON_ROOT;
  Json card = read_json(root / "configs/extractors/dlib.json");
  const std::string right = card["input"]["channels"];
  card["input"]["channels"] = right == "rgb" ? "bgr" : "rgb";
  card["file"] = (root / "models/dlib.pt").string();
  card["sha256"] = sha256_of_file(root / "models/dlib.pt");
  card.erase("golden");
  write_file(folder / "swapped.json", card.dump());
  const std::string photos = " --photos dataset --most-photos 600";
  const auto as_it_is = run_binary("check dlib" + photos, folder.path);
  EXPECT_EQ(as_it_is.code, 0) << as_it_is.err << as_it_is.out;
  const auto swapped = run_binary("check ./swapped.json" + photos, folder.path);
  EXPECT_EQ(swapped.code, 4) << swapped.out;
  EXPECT_TRUE(contains(swapped.err, concat(R"("channels":")", right))) << swapped.err;
}

}  // namespace
}  // namespace facepoison::testing
