// The output folder of a data set: only files that this program made are replaced and removed.
#include "facepoison/dataset_folder.hpp"

#include "facepoison/prepare.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

class DatasetFolderTest : public ::testing::Test {
 protected:
  Dataset prepare_people(const std::vector<std::string>& people = {"all"}, const std::string& where = "store") {
    ArtifactStore store(folder_ / where);
    PrepareOptions options;
    options.detect = false, options.canvas = 48, options.people = people;
    return prepare(scan_photos(folder_ / "photos"), set(), options, store);
  }
  fs::path set() const { return folder_ / "set"; }
  void put(const std::string& name, const std::string& bytes) { write_file(set() / name, bytes); }
  // Prepares into the folder of somebody's file, which must stay.
  void expect_refused(const std::string& name, const std::string& bytes) {
    put(name, bytes);
    const auto [code, message] = caught([&] { prepare_people(); });
    EXPECT_EQ(code, Exit::usage) << name;
    EXPECT_TRUE(contains(message, set().string())) << message;
    EXPECT_EQ(read_file(set() / name), bytes);
  }
  TempFolder folder_;
};

TEST_F(DatasetFolderTest, SomebodysFolderDoesNotBecomeADataSet) {
  draw_people(folder_ / "photos", 2, 2);
  for (const std::string name : {"notes.txt", "p00/own.png", "manifest.jsonl", "budget.csv", "unfinished.json"}) {
    expect_refused(name, "{\"mine\": 1}\n");
    fs::remove_all(set());
  }
  put(".hidden", "");
  EXPECT_EQ(prepare_people().photos.size(), 4u) << "as good as empty";
  EXPECT_FALSE(fs::exists(set() / "unfinished.json"));
}

TEST_F(DatasetFolderTest, TheStoreMayLieInIt) {
  draw_people(folder_ / "photos", 2, 2);
  EXPECT_EQ(prepare_people({"all"}, "set/store").photos.size(), 4u);
  EXPECT_EQ(prepare_people({"all"}, "set/store").photos.size(), 4u);
}

TEST_F(DatasetFolderTest, AFolderOfPhotosDoesNotBecomeADataSet) {
  draw_people(folder_ / "photos", 2, 2);
  ArtifactStore store(folder_ / "store");
  for (const auto& output : {folder_ / "photos", folder_ / "photos/set"}) {
    const auto [code, message] = caught([&] { prepare(scan_photos(folder_ / "photos"), output, {}, store); });
    EXPECT_EQ(code, Exit::usage);
    EXPECT_TRUE(contains(message, "inside the folder of photos")) << message;
  }
  EXPECT_FALSE(fs::exists(folder_ / "photos/manifest.jsonl") || fs::exists(folder_ / "photos/set"));
}

TEST_F(DatasetFolderTest, ADataSetIsNotMadeFromItsOwnCanvases) {
  draw_people(folder_ / "photos", 2, 2);
  const auto canvas = prepare_people().photos.front().path;
  ArtifactStore store(folder_ / "store");
  EXPECT_EQ(caught([&] { prepare(scan_photos(set() / "canvas"), set(), {}, store); }).code, Exit::usage);
  EXPECT_TRUE(fs::exists(canvas));
}

TEST_F(DatasetFolderTest, SomebodysFileInADataSetIsNotReplaced) {
  draw_people(folder_ / "photos", 2, 2);
  prepare_people();
  const auto old = read_file(set() / "manifest.jsonl");
  draw_people(folder_ / "photos", 3, 2);
  for (const std::string name : {"prepare.json", "rejected.csv", "canvas/p02/v0.png.png"}) {
    const auto before = fs::exists(set() / name) ? read_file(set() / name) : "";
    expect_refused(name, "mine");
    EXPECT_EQ(read_file(set() / "manifest.jsonl"), old);
    before.empty() ? static_cast<void>(fs::remove(set() / name)) : put(name, before);
  }
  EXPECT_EQ(prepare_people().photos.size(), 6u);
}

TEST_F(DatasetFolderTest, MadeAgainItLosesWhatIsGoneAndKeepsWhatIsSomebodys) {
  draw_people(folder_ / "photos", 3, 2);
  prepare_people();
  put("budget.csv", "id,attack,status,iterations,linf\n");  // as perturb leaves it
  put("notes.txt", "mine"), put("canvas/p00/own.png", "mine"), put("verified.txt", "mine");
  EXPECT_EQ(prepare_people({"p01"}).people(), std::vector<std::string>{"p01"});
  EXPECT_FALSE(fs::exists(set() / "budget.csv"));
  EXPECT_FALSE(fs::exists(set() / "canvas/p02")) << "with its folder";
  EXPECT_FALSE(fs::exists(set() / "canvas/p00/v0.png.png"));
  for (const auto* name : {"notes.txt", "canvas/p00/own.png", "verified.txt"})
    EXPECT_EQ(read_file(set() / name), "mine") << name;
}

TEST_F(DatasetFolderTest, WhoWasKilledGoesOnAndClearsUp) {
  const DatasetFolder killed(set(), {"canvas/p09/0.png.png", "canvas/p00/v0.png.png", "prepare.json"});
  put("canvas/p09/0.png.png", "half of a data set"), put("canvas/p00/v0.png.png", "too");
  draw_people(folder_ / "photos", 2, 2);
  EXPECT_EQ(prepare_people().photos.size(), 4u);
  EXPECT_FALSE(fs::exists(set() / "canvas/p09"));
  EXPECT_FALSE(fs::exists(set() / "unfinished.json"));
}

TEST_F(DatasetFolderTest, AStrangersManifestNamesNothingElseToRemove) {
  draw_people(folder_ / "photos", 1, 2);
  prepare_people();
  const auto lines = read_file(set() / "manifest.jsonl");
  Json line = Json::parse(lines.substr(0, lines.find('\n')));
  std::string more;
  for (const std::string path :
       {"../outside.png", "canvas/../../outside.png", "notes.png", "canvas/link/outside.png"}) {
    line["path"] = path;
    more += line.dump() + "\n";
  }
  put("manifest.jsonl", lines + more), put("notes.png", "mine"), write_file(folder_ / "outside.png", "mine");
  fs::create_directory_symlink(folder_.path, set() / "canvas/link");
  prepare_people();
  EXPECT_TRUE(fs::exists(folder_ / "outside.png") && fs::exists(set() / "notes.png"));
}

}  // namespace
}  // namespace facepoison::testing
