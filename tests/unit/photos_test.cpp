// Folders of photos: every layout, ignored files, and the lists next to photos.
#include "facepoison/photos.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "support/support.hpp"

namespace facepoison {
namespace {

using namespace testing;

using Names = std::vector<std::string>;

// A folder of empty files, which is enough to be found.
class ScanPhotosTest : public ::testing::Test {
 protected:
  void put(const std::string& name, const std::string& bytes = "") { write_file(root_ / name, bytes); }
  Names ids() {
    Names found;
    for (const auto& photo : scan_photos(root_.path).photos) found.push_back(photo.id);
    return found;
  }
  Caught problem() {
    return caught([&] { scan_photos(root_.path); });
  }
  // The rejected photos, as id → reason.
  std::map<std::string, std::string> reasons() {
    std::map<std::string, std::string> found;
    for (const auto& file : scan_photos(root_.path).rejected) found[file.id] = file.reason;
    return found;
  }
  TempFolder root_;
};

using Reasons = std::map<std::string, std::string>;
const std::string below = "in a sub-folder; a person's photos lie in the person's folder",
                  leaves = "a link that leaves the photo folder", nowhere = "a link that leads nowhere";

TEST_F(ScanPhotosTest, FaceFoldersWinWhereTheyHoldAPhoto) {
  put("A/face/1.jpg"), put("A/1.jpg"), put("B/face/notes.txt"), put("B/1.jpg");
  EXPECT_EQ(ids(), (Names{"A/face/1.jpg", "B/1.jpg"}));
  const auto folder = scan_photos(root_.path);
  EXPECT_EQ(folder.photos[0].person, "A");
  EXPECT_EQ(folder.photos[1].person, "B");
  EXPECT_TRUE(fs::exists(folder.photos[0].path));
}

TEST_F(ScanPhotosTest, ReadsLfwsLayoutInTheOrderOfBytes) {
  put("Zoe/Zoe_0002.jpg"), put("Zoe/Zoe_0001.jpg"), put("Zoe/Zoe_10.jpg"), put("Zoe A/1.jpg"), put("adam/1.jpg"),
      put("Élise/1.jpg");
  EXPECT_EQ(ids(), (Names{"Zoe A/1.jpg", "Zoe/Zoe_0001.jpg", "Zoe/Zoe_0002.jpg", "Zoe/Zoe_10.jpg", "adam/1.jpg",
                          "Élise/1.jpg"}));
}

TEST_F(ScanPhotosTest, KnowsPhotosByTheirExtension) {
  for (const char* name : {"A/1.JPG", "A/2.jpeg", "A/3.Png", "A/4.bmp", "A/5.webp", "A/6.gif", "A/7.tiff", "A/8.pgm"})
    put(name);
  for (const char* name : {"A/x.txt", "A/.hidden.jpg", "A/jpg", "A/x.jpg.part", ".cache/1.jpg"}) put(name);
  fs::create_directories(root_ / "A/folder.jpg");
  EXPECT_EQ(ids(), (Names{"A/1.JPG", "A/2.jpeg", "A/3.Png", "A/4.bmp", "A/5.webp", "A/6.gif", "A/7.tiff", "A/8.pgm"}));
}

TEST_F(ScanPhotosTest, KnowsPhotosByWhatIsInThem) {
  const std::string jpeg = encode_jpeg(draw_photo(0, 0), 90), heic = std::string("\0\0\0\x18", 4) + "ftypheic";
  for (const char* name : {"A/a.jpg_large", "A/b", "A/c.jfif", "A/d.JPG "}) put(name, jpeg);
  for (const char* name : {"B/1.HEIC", "B/2"}) put(name, heic);
  put("A/notes", "BM, the British Museum"), put("A/Thumbs.db", "x"),
      put("A/film.mp4",
          "\x20"
          "ftypisom");
  EXPECT_EQ(ids(), (Names{"A/a.jpg_large", "A/b", "A/c.jfif", "A/d.JPG ", "B/1.HEIC", "B/2"}));
  EXPECT_TRUE(scan_photos(root_.path).empty_people.empty());
  EXPECT_EQ(reasons(), Reasons{});
}

TEST_F(ScanPhotosTest, ListsTheAlbumsInsideOfAPersonsFolder) {
  put("A/1.jpg"), put("A/album/2.jpg"), put("A/album/deeper/3.jpg"), put("A/album/notes.txt"), put("B/2019/1.jpg");
  put("A/album/4", encode_png(draw_photo(0, 0)));
  const auto folder = scan_photos(root_.path);
  EXPECT_EQ(folder.photos.size(), 1u);
  EXPECT_TRUE(folder.empty_people.empty()) << "that B has no photos would be untrue";
  EXPECT_EQ(
      reasons(),
      (Reasons{
          {"A/album/2.jpg", below}, {"A/album/4", below}, {"A/album/deeper/3.jpg", below}, {"B/2019/1.jpg", below}}));
}

TEST_F(ScanPhotosTest, TakesATreeThatIsSplitAsItIs) {
  put("train/A/1.jpg"), put("train/A/2.jpg"), put("train/B/1.jpg"), put("val/A/1.jpg"), put("Test/B/face/1.jpg");
  put("val/C/notes.txt"), put("val/A/more/3.jpg"), put("annotations/x.jpg"), put("train/9.txt");
  std::vector<std::string> found;
  for (const auto& photo : scan_photos(root_.path).photos)
    found.push_back(concat(photo.id, " ", photo.person, " ", split_name(photo.split)));
  EXPECT_EQ(found, (Names{"Test/B/face/1.jpg B test", "train/A/1.jpg A train", "train/A/2.jpg A train",
                          "train/B/1.jpg B train", "val/A/1.jpg A test"}));
  EXPECT_EQ(reasons(), (Reasons{{"val/A/more/3.jpg", below}, {"val/C/", "no photos in this folder"}}));
}

TEST_F(ScanPhotosTest, KnowsPeopleWhoAreCalledAsTheSidesOfASplit) {
  put("train/1.jpg"), put("val/face/1.jpg"), put("test/1.jpg"), put("val/1.jpg");
  EXPECT_EQ(ids(), (Names{"test/1.jpg", "train/1.jpg", "val/face/1.jpg"}));
  for (const auto& photo : scan_photos(root_.path).photos) EXPECT_EQ(photo.split, Split::none);
}

TEST_F(ScanPhotosTest, GivesAllPicturesBelowAFolderByTheSameRules) {
  put("A/1.jpg"), put("A/deep/2", encode_png(draw_photo(0, 0))), put("3.webp"), put("A/notes.txt"), put("A/.4.jpg");
  fs::create_symlink("/etc/hostname", root_ / "A/5.jpg");
  const auto root = fs::canonical(root_.path);
  const auto found = pictures_below(root);
  EXPECT_EQ(found.usable, (std::vector<fs::path>{root / "3.webp", root / "A/1.jpg", root / "A/deep/2"}));
  ASSERT_EQ(found.rejected.size(), 1u);
  EXPECT_EQ(found.rejected[0].first, root / "A/5.jpg");
}

TEST_F(ScanPhotosTest, CountsWhatLiesBesideTheFacesThatWin) {
  put("A/face/1.jpg"), put("A/1.jpg"), put("A/2.jpg"), put("A/more/3.jpg"), put("B/1.jpg"), put("C/face/1.jpg");
  const auto folder = scan_photos(root_.path);
  EXPECT_EQ(folder.originals, 3u);
  EXPECT_EQ(reasons(), Reasons{});
}

TEST_F(ScanPhotosTest, ListsWhatIsNoRegularFile) {
  put("A/1.jpg");
  ASSERT_EQ(mkfifo((root_ / "A/2.jpg").c_str(), 0600), 0);
  ASSERT_EQ(mkfifo((root_ / "facescrub_actors.txt").c_str(), 0600), 0);
  fs::create_symlink("2.jpg", root_ / "A/3.jpg");
  EXPECT_EQ(ids(), Names{"A/1.jpg"});
  EXPECT_EQ(reasons(), (Reasons{{"A/2.jpg", "not a regular file"}, {"A/3.jpg", "not a regular file"}}));
  ASSERT_EQ(mkfifo((root_ / "landmarks.csv").c_str(), 0600), 0);
  EXPECT_TRUE(contains(problem().message, "landmarks.csv")) << "it decides every photo";
}

TEST_F(ScanPhotosTest, ListsANameThatIsTooLongForACanvas) {
  const std::string longest = std::string(247, 'x') + ".jpg";
  put("A/" + longest), put("A/y" + longest);
  EXPECT_EQ(ids(), Names{"A/" + longest});
  EXPECT_TRUE(contains(reasons().at("A/y" + longest), "252 bytes"));
}

TEST_F(ScanPhotosTest, ListsANameThatIsNoText) {
  put("A/1.jpg"), put("A/Ren\xe9.jpg");
  EXPECT_EQ(ids(), Names{"A/1.jpg"});
  EXPECT_EQ(reasons(), (Reasons{{"A/Ren\xe9.jpg", "its name is not UTF-8"}}));
}

// Root may read everything, so root becomes the user nobody for a while.
TEST_F(ScanPhotosTest, ListsWhatMayNotBeRead) {
  put("A/1.jpg"), put("A/2.jpg"), put("B/1.jpg"), put("C/face/1.jpg"), put("C/1.jpg");
  fs::permissions(root_.path, fs::perms::all);
  for (const char* path : {"A/2.jpg", "B", "C/face"}) fs::permissions(root_ / path, fs::perms::none);
  if (geteuid() == 0 && seteuid(65534) != 0) GTEST_SKIP() << "root may read everything, and cannot be another here";
  const auto folder = scan_photos(root_.path);
  const auto found = reasons();
  ASSERT_EQ(seteuid(getuid()), 0);
  for (const char* path : {"A/2.jpg", "B", "C/face"}) fs::permissions(root_ / path, fs::perms::owner_all);
  const std::string denied = std::strerror(EACCES);
  EXPECT_EQ(found, (Reasons{{"A/2.jpg", denied}, {"B/", denied}, {"C/face/", denied}}));
  EXPECT_EQ(folder.photos.size(), 2u);
  EXPECT_TRUE(folder.empty_people.empty());
}

TEST_F(ScanPhotosTest, ListsPeopleWithoutPhotos) {
  put("B/1.jpg"), put("C/notes.txt");
  fs::create_directories(root_ / "A");
  EXPECT_EQ(scan_photos(root_.path).empty_people, (Names{"A", "C"}));
}

TEST_F(ScanPhotosTest, PassesOverPhotosOfNobody) {
  put("stray.jpg"), put("A/1.jpg");
  EXPECT_EQ(ids(), Names{"A/1.jpg"});
}

TEST_F(ScanPhotosTest, PassesOverLinksThatLeaveTheRoot) {
  const TempFolder outside;
  write_file(outside / "secret.jpg", "");
  put("A/1.jpg");
  fs::create_symlink(outside / "secret.jpg", root_ / "A/2.jpg");
  fs::create_symlink("../A/1.jpg", root_ / "A/3.jpg");
  fs::create_directory_symlink(outside.path, root_ / "B");
  fs::create_directory_symlink("A", root_ / "C");
  fs::create_directory_symlink("../A", root_ / "A/again");
  fs::create_directory_symlink("gone", root_ / "D");
  EXPECT_EQ(ids(), (Names{"A/1.jpg", "A/3.jpg", "C/1.jpg", "C/3.jpg"}));
  const std::string folder = "a link to a folder, which is not followed";
  EXPECT_EQ(reasons(), (Reasons{{"A/2.jpg", leaves},
                                {"A/again", folder},
                                {"B/", leaves},
                                {"C/2.jpg", leaves},
                                {"C/again", folder},
                                {"D/", nowhere}}));
}

TEST_F(ScanPhotosTest, PassesOverALinkToItself) {
  put("A/1.jpg");
  fs::create_symlink("2.jpg", root_ / "A/2.jpg");
  fs::create_symlink("gone.jpg", root_ / "A/3.jpg");
  fs::create_directory_symlink("B", root_ / "B");
  EXPECT_EQ(ids(), Names{"A/1.jpg"});
  EXPECT_EQ(reasons(), (Reasons{{"A/2.jpg", nowhere}, {"A/3.jpg", nowhere}, {"B/", nowhere}}));
}

TEST_F(ScanPhotosTest, MayBeALinkItself) {
  put("A/1.jpg");
  const TempFolder other;
  fs::create_directory_symlink(root_.path, other / "link");
  EXPECT_EQ(scan_photos(other / "link").photos.size(), 1u);
}

TEST_F(ScanPhotosTest, RefusesAFolderThatIsNone) {
  put("file");
  for (const auto& [path, reason] :
       {std::pair{root_ / "missing", "no such folder"}, std::pair{root_ / "file", "not a folder"}}) {
    const auto [code, message] = caught([&, &path = path] { scan_photos(path); });
    EXPECT_EQ(code, Exit::input);
    EXPECT_TRUE(contains(message, path.string()) && contains(message, reason)) << message;
  }
}

const std::string landmarks_header = "id,x1,y1,x2,y2,x3,y3,x4,y4,x5,y5\n";

TEST_F(ScanPhotosTest, ReadsLandmarks) {
  put("A/1.jpg");
  EXPECT_FALSE(scan_photos(root_.path).has_landmarks);
  put("landmarks.csv", landmarks_header + "A/1.jpg,1,2,3,4,5,6,7,8,9,10.5\n");
  const auto folder = scan_photos(root_.path);
  EXPECT_TRUE(folder.has_landmarks);
  const auto& points = folder.landmarks.at("A/1.jpg");
  EXPECT_EQ(points[0].x, 1);
  EXPECT_EQ(points[0].y, 2);
  EXPECT_EQ(points[4].y, 10.5);
}

TEST_F(ScanPhotosTest, ReadsLandmarksOfEachSideOfASplit) {
  const std::string points = ",1,2,3,4,5,6,7,8,9,", whole = "Jos\u00e9", apart = "Jose\u0301";
  for (const auto& id : {"train/A/1.jpg", "train/A/2.jpg", "val/A/1.jpg"}) put(id);
  put("train/" + apart + "/1.jpg");
  put("train/landmarks.csv", landmarks_header + "A/1.jpg" + points + "10\n" + whole + "/1.jpg" + points + "11\n");
  put("val/landmarks.csv", landmarks_header + "A/1.jpg" + points + "12\n");
  put("landmarks.csv", landmarks_header + "train/A/2.jpg" + points + "13\nval/A/1.jpg" + points + "12\n");
  const auto folder = scan_photos(root_.path);
  EXPECT_TRUE(folder.has_landmarks);
  std::map<std::string, double> last;
  for (const auto& photo : folder.photos) last[photo.id] = folder.landmarks_of(photo).value().at(4).y;
  EXPECT_EQ(last,
            (std::map<std::string, double>{
                {"train/A/1.jpg", 10}, {"train/A/2.jpg", 13}, {"train/" + apart + "/1.jpg", 11}, {"val/A/1.jpg", 12}}));
  for (const auto& id : {std::string("train/A/1.jpg"), "train/" + apart + "/1.jpg"}) {
    put("landmarks.csv", landmarks_header + id + points + "99\n");
    const auto [code, message] = problem();
    EXPECT_EQ(code, Exit::input) << id;
    for (const auto* file : {"/train/landmarks.csv and ", "/landmarks.csv give different points for train/"})
      EXPECT_TRUE(contains(message, file)) << message;
  }
}

TEST_F(ScanPhotosTest, NamesTheLineOfAWrongLandmark) {
  put("A/1.jpg");
  const std::string row = "A/1.jpg,1,2,3,4,5,6,7,8,9,10\n";
  for (const auto& [bytes, part] :
       {std::pair{landmarks_header + "A/1.jpg,1,2,3,4,five,6,7,8,9,10\n", "line 2"},
        std::pair{landmarks_header + "A/1.jpg,1,2,3,4,nan,6,7,8,9,10\n", "line 2"},
        std::pair{landmarks_header + "A/1.jpg,1,2,3,4,1e300,6,7,8,9,10\n", "line 2"},
        std::pair{landmarks_header + row + row, "line 3"},
        std::pair{landmarks_header + row + "A/2.jpg,1,2\n", "line 3"},
        std::pair{std::string("id,x,y\nA/1.jpg,1,2\n"), "11 columns"}, std::pair{std::string(""), "empty"}}) {
    put("landmarks.csv", bytes);
    const auto [code, message] = problem();
    EXPECT_EQ(code, Exit::input) << bytes;
    EXPECT_TRUE(contains(message, "landmarks.csv") && contains(message, part)) << message;
  }
}

TEST_F(ScanPhotosTest, FindsFacescrubsBoxes) {
  const std::string url = "http://example.org/a.jpg", hash(64, 'a');
  put("Ann_Bee/" + sha1(url) + ".jpg"), put("Ann_Bee/named.jpg"), put("Cy/face/" + sha1(url) + ".jpg");
  const std::string row = "\t1\t2\t" + url + "\t10,20,30,40\t" + hash;
  put("facescrub_actors.txt", "name\timage_id\tface_id\turl\tbbox\tsha256\nAnn Bee" + row + "\r\nCy" + row + "\n");
  const auto folder = scan_photos(root_.path);
  ASSERT_EQ(folder.photos.size(), 3u);
  const auto &by_address = folder.photos[0], &named = folder.photos[1], &crop = folder.photos[2];
  ASSERT_EQ(named.id, "Ann_Bee/named.jpg");
  const auto found = folder.box_of(by_address, "another hash");
  ASSERT_TRUE(found);
  EXPECT_EQ((std::array{found->x1, found->y1, found->x2, found->y2}), (std::array{10., 20., 30., 40.}));
  EXPECT_TRUE(folder.box_of(named, hash));
  EXPECT_FALSE(folder.box_of(named, std::string(64, 'b')));
  EXPECT_FALSE(folder.box_of(crop, hash));  // the box is of the full picture
}

TEST_F(ScanPhotosTest, GivesEachOfACoupleTheOwnBox) {
  const std::string hash(64, 'a'), address = "http://example.org/couple.jpg", name = sha1(address) + ".jpg",
                                   header = "name\timage_id\tface_id\turl\tbbox\tsha256\n";
  put("Ann_Two/" + name), put("Ben_One/" + name), put("Cy/" + name);
  put("facescrub_actors.txt", header + "Ben One\t1\t1\t" + address + "\t60,40,200,220\t" + hash + "\n");
  put("facescrub_actresses.txt", header + "Ann Two\t2\t2\t" + address + "\t316,40,456,220\t" + hash + "\n");
  const auto folder = scan_photos(root_.path);
  ASSERT_EQ(folder.photos.size(), 3u);
  for (const std::string& digest : {hash, std::string(64, 'b')}) {
    EXPECT_EQ(folder.box_of(folder.photos[0], digest)->x1, 316);
    EXPECT_EQ(folder.box_of(folder.photos[1], digest)->x1, 60);
  }
  EXPECT_FALSE(folder.box_of(folder.photos[2], hash)) << "the hash alone means two faces";
}

TEST_F(ScanPhotosTest, LeavesOutWhatToolsLeftBesideTheOriginal) {
  const Names of_tools = {"A/x_attacked.png",    "A/x_cloaked.png", "A/x_high_cloaked.png",  "A/x_low_cloaked.png",
                          "A/x_mid_cloaked.jpg", "A/x_small.png",   "A/x_small_cloaked.png", "C/face/y_cloaked.png"};
  const Names photos = {"A/_small.jpg",    "A/alone_small.jpg", "A/x.jpg",
                        "A/x_smaller.jpg", "B/x_cloaked.png",   "C/face/y.jpg"};
  for (const auto& names : {of_tools, photos})
    for (const auto& name : names) put(name);
  put("C/y_small.jpg");  // above face/, which wins
  EXPECT_EQ(ids(), photos);
  Names left_out;
  for (const auto& file : scan_photos(root_.path).of_tools) left_out.push_back(file.id);
  EXPECT_EQ(left_out, of_tools);
}

TEST_F(ScanPhotosTest, AnOddLineOfAListCostsThatLine) {
  put("A/1.jpg");
  const std::string hash(64, 'A'), lower(64, 'a');  // hashes compare without case
  for (const std::string odd : {"A\t1\t2\turl\t\tsha", "A\t1\t2\turl\t1,2,3\tsha", "A\t1\t2\turl\t1,2,3,x\tsha",
                                "A\t1\t2\turl\t1,2,3,4,5\tsha", "A\t1\t2\turl\t1,2,3,nan\tsha", "A\t1", "<html>"}) {
    put("facescrub_actors.txt", "\xef\xbb\xbfname\timage_id\tface_id\turl\tbbox\tsha256\r\n" + odd +
                                    "\r\n\r\nA\t1\t2\turl\t1,2,30,40\t" + hash + "\r\n");
    ::testing::internal::CaptureStderr();
    const auto folder = scan_photos(root_.path);
    const auto said = ::testing::internal::GetCapturedStderr();
    EXPECT_TRUE(contains(said, "1 malformed lines") && contains(said, "line 2")) << odd << ": " << said;
    const auto box = folder.box_of(folder.photos.at(0), lower);
    ASSERT_TRUE(box) << odd;
    EXPECT_EQ(box->x2, 30);
  }
}

TEST_F(ScanPhotosTest, FindsNamesWhicheverWayTheirAccentsAreWritten) {
  const std::string whole = "Jos\u00e9", apart = "Jose\u0301", hash(64, 'a');
  for (const auto& [of_folder, of_lists] : {std::pair{whole, apart}, std::pair{apart, whole}}) {
    put(of_folder + "/1.jpg");
    put("landmarks.csv", landmarks_header + of_lists + "/1.jpg,1,2,3,4,5,6,7,8,9,10\n");
    put("facescrub_actors.txt", "header\n" + of_lists + "\t1\t2\turl\t1,2,30,40\t" + std::string(64, 'b') + "\n");
    const auto folder = scan_photos(root_.path);
    ASSERT_TRUE(folder.landmarks_of(folder.photos.at(0)));
    EXPECT_EQ(folder.landmarks_of(folder.photos.at(0))->at(4).y, 10);
    for (const auto& asked : {of_lists, of_folder, of_lists.substr(0, 3) + "*"})
      EXPECT_EQ(match_people({of_folder, "Ann"}, {asked}), std::set<std::string>{of_folder});
    put(of_folder + "/" + sha1("url") + ".jpg");
    const PhotoFile named{"", of_folder, root_ / of_folder / (sha1("url") + ".jpg")};
    EXPECT_TRUE(folder.box_of(named, hash));
    fs::remove_all(root_ / of_folder);
  }
}

TEST(MatchPeople, FindsANameThatHasACommaWhereAnOptionWasSplitAtIt) {
  const Names people = {"Ann", "Smith", "Smith, John", "Smith, John, Jr"};
  const auto chosen = [&](const Names& parts) { return match_people(people, parts); };
  EXPECT_EQ(chosen({"Smith", " John"}), (std::set<std::string>{"Smith, John"}));
  EXPECT_EQ(chosen({"Ann", "Smith", " John", " Jr", "Smith"}),
            (std::set<std::string>{"Ann", "Smith", "Smith, John, Jr"}));
  const auto [code, message] = caught([&] { chosen({"Ann", "Miller", " Jo"}); });
  EXPECT_EQ(code, Exit::usage);
  EXPECT_TRUE(contains(message, "no person \"Miller\"") && contains(message, "a comma separates names")) << message;
  EXPECT_FALSE(contains(caught([&] { chosen({"Miller"}); }).message, "comma"));
}

TEST(PersonNamed, IsFoundHoweverAccentsAreWrittenAndByBytesFirst) {
  const std::string whole = "Jos\u00e9", apart = "Jose\u0301";
  EXPECT_EQ(person_named(apart, {"Ann", whole}), whole);
  EXPECT_EQ(person_named(whole, {apart, whole}), whole);
  EXPECT_EQ(person_named("Jose", {whole}), std::nullopt);
}

TEST_F(ScanPhotosTest, SaysHowTheHeaderOfLandmarksIsWrong) {
  put("A/1.jpg"), put("landmarks.csv", "Id,a,b,c,d,e,f,g,h,i,j\nA/1.jpg,1,2,3,4,5,6,7,8,9,10\n");
  EXPECT_TRUE(contains(problem().message, "begins with \"Id\"")) << problem().message;
}

TEST_F(ScanPhotosTest, KnowsTheCanvasesOfAPerturbedDataSet) {
  put("set/manifest.jsonl", R"({"path": "canvas/A/1.jpg.png", "perturbed_by": "noise"})"
                            "\n"
                            R"({"path": "canvas/A/2.jpg.png"})"
                            "\n");
  put("set/canvas/A/1.jpg.png"), put("set/canvas/A/2.jpg.png");
  const auto photos = scan_photos(root_ / "set/canvas").photos;
  EXPECT_EQ(perturbed_note(photos), "1 of 2 photos are perturbed, by noise");
  EXPECT_EQ(photos.at(0).perturbed_by, "noise");
  put("set/manifest.jsonl", "somebody's\n");
  EXPECT_EQ(perturbed_note(scan_photos(root_ / "set/canvas").photos), "");
}

TEST_F(ScanPhotosTest, ReadsLandmarksThatASpreadsheetSaved) {
  put("A/1.jpg"), put("landmarks.csv",
                      "\xef\xbb\xbf"
                      "id,a,b,c,d,e,f,g,h,i,j\r\nA/1.jpg,1,2,3,4,5,6,7,8,9,10\r\n");
  EXPECT_EQ(scan_photos(root_.path).landmarks.at("A/1.jpg")[4].y, 10);
}

}  // namespace
}  // namespace facepoison
