// The store's housekeeping, and the doctor.
#include <algorithm>

#include "support/support.hpp"

namespace facepoison::testing {
namespace {

class E2eStore : public ::testing::Test {
 protected:
  void SetUp() override {
    draw_people(folder_ / "photos", 3, 3);
    write_tiny_extractor(folder_.path);
  }
  Outcome run(const std::string& arguments) { return run_binary(arguments + " --store store", folder_.path); }
  void embed_photos() { ASSERT_EQ(run("embed photos -e ./tiny.json -o x.npy").code, 0); }
  // The folders of a kind's artefacts.
  std::vector<fs::path> artefacts(const std::string& kind) {
    std::vector<fs::path> found;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / "store" / kind))
      if (entry.path().filename() == "key.json") found.push_back(entry.path().parent_path());
    std::sort(found.begin(), found.end());
    return found;
  }
  // Sets the time of the last use back by so long.
  void age(const fs::path& artefact, int days) {
    fs::last_write_time(artefact / "stats.txt", fs::file_time_type::clock::now() - std::chrono::hours(24 * days));
  }
  TempFolder folder_;
};

TEST_F(E2eStore, VerifyNamesWhatIsDamagedThoughItLooksAsItDid) {
  embed_photos();
  const auto whole = run("store verify");
  EXPECT_EQ(whole.code, 0) << whole.err;
  EXPECT_TRUE(contains(whole.out, "3 artefacts")) << whole.out;
  // The record of the files' size and times stays true: as on a disk that loses data.
  const auto damaged = artefacts("crops").front();
  const auto edit = [&](const char* name) {
    auto lines = read_file(damaged / name);
    const auto digest = sha256_of_file(damaged / "features.npy");
    write_file(damaged / name, lines.replace(lines.find(digest), digest.size(), std::string(64, '0')));
  };
  edit("digests.txt");
  edit("stats.txt");
  embed_photos();
  EXPECT_TRUE(contains(read_file(damaged / "digests.txt"), std::string(64, '0'))) << "nobody but verify sees it";
  const auto found = run("store verify --format csv");
  EXPECT_EQ(found.code, 3);
  EXPECT_TRUE(contains(found.out, damaged.filename().string() + ",features.npy")) << found.out;
  const auto again = run("embed photos -e ./tiny.json -o x.npy");
  EXPECT_TRUE(contains(again.err, "is damaged and is made again")) << again.err;
  EXPECT_FALSE(contains(read_file(damaged / "digests.txt"), std::string(64, '0')));
  EXPECT_EQ(run("store verify").code, 0);
}

TEST_F(E2eStore, GcTakesTheOldestAndOnlyWhenTold) {
  embed_photos();
  const auto all = artefacts("crops");
  ASSERT_EQ(all.size(), 3u);
  for (int n = 0; n < 3; ++n) age(all[static_cast<std::size_t>(n)], n == 1 ? 20 : 10);
  const auto dry = run("store gc --older-than 15 --format csv");
  EXPECT_EQ(dry.code, 0) << dry.err;
  EXPECT_EQ(named(parse_csv(dry.out, "gc"), parse_csv(dry.out, "gc").rows.at(0), "going"), "1");
  EXPECT_EQ(artefacts("crops"), all) << "said, not done";
  EXPECT_EQ(run("store gc --older-than 15 --delete").code, 0);
  EXPECT_EQ(artefacts("crops"), (std::vector<fs::path>{all[0], all[2]}));
  embed_photos();  // uses two and makes one
  EXPECT_EQ(run("store gc --older-than 5 --delete").code, 0);
  EXPECT_EQ(artefacts("crops").size(), 3u) << "what was used is no longer old";
  age(all[2], 1);
  EXPECT_EQ(run("store gc --keep-size 1 --delete").code, 0);
  EXPECT_EQ(artefacts("crops").size(), 3u);
  std::uintmax_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder_ / "store/crops"))
    if (entry.is_regular_file()) bytes += entry.file_size();
  EXPECT_EQ(run(concat("store gc --delete --keep-size ", static_cast<double>(bytes - 100) / 1e9)).code, 0);
  EXPECT_EQ(artefacts("crops"), (std::vector<fs::path>{all[0], all[1]})) << "the least recently used goes";
  for (const std::string wrong : {"", "--older-than 1 --keep-size 1", "--older-than -1", "--keep-size nan"})
    EXPECT_EQ(run("store gc " + wrong).code, 2) << wrong;
}

TEST_F(E2eStore, GcKeepsWhatTheConfigsNeed) {
  prepare_drawn(folder_.path, 4, 6);
  fs::remove_all(folder_ / "store");
  write_tiny_extractor(folder_.path, 2, "other");
  for (const std::string name : {"tiny", "other"}) {
    const Json config = {
        {"dataset", "dataset"}, {"extractors", {"./" + name + ".json"}}, {"attacks", {"none", "noise"}}};
    write_file(folder_ / (name + "-run.json"), config.dump());
    ASSERT_EQ(run("eval -c " + name + "-run.json").code, 0);
  }
  const auto before = artefacts("embedded").size();
  const auto gone = run("store gc --needed-by tiny-run.json --delete");
  EXPECT_EQ(gone.code, 0) << gone.err;
  EXPECT_FALSE(contains(gone.err, "not in the store")) << gone.err;
  EXPECT_EQ(artefacts("embedded").size(), before / 2);
  EXPECT_TRUE(contains(run("eval -c tiny-run.json --run-dir again").err, ", 0 made)")) << "all of it stayed";
  EXPECT_FALSE(contains(run("eval -c other-run.json --run-dir other").err, ", 0 made)"));
  EXPECT_EQ(run("store gc --needed-by tiny-run.json other-run.json --delete").code, 0);
  EXPECT_TRUE(contains(run("eval -c other-run.json --run-dir third").err, ", 0 made)"));
  fs::remove_all(artefacts("perturbed").front());
  const auto unknown = run("store gc --needed-by tiny-run.json");
  EXPECT_TRUE(contains(unknown.err, "units that it needs are not in the store")) << unknown.err;
}

TEST_F(E2eStore, GcKeepsTheTwinsOfATraining) {
  prepare_drawn(folder_.path, 4, 6);
  fs::remove_all(folder_ / "store");
  const Json experiment = {
      {"dataset", "dataset"}, {"protected", {"p00"}}, {"extractors", {"./tiny.json"}}, {"attacks", {"none", "noise"}}};
  const Json training = {{"dataset", "dataset"},
                         {"start", "./tiny.json"},
                         {"twins", {"noise"}},
                         {"twin_transforms", {"none", {{"transform", "jpeg"}, {"quality", 50}}}},
                         {"exclude", "run.json"},
                         {"batch", {{"people", 2}, {"photos", 2}}},
                         {"loss", {{"kind", "arcface"}, {"scale", 8}}},
                         {"steps", 2}};
  write_file(folder_ / "run.json", experiment.dump());
  write_file(folder_ / "base.json", training.dump());
  write_file(folder_ / "twins.json", Json{{"base", "base.json"}}.dump());
  ASSERT_EQ(run("train -c twins.json -o out").code, 0);
  const auto perturbed = artefacts("perturbed"), transformed = artefacts("transformed");
  ASSERT_FALSE(perturbed.empty() || transformed.empty());
  ASSERT_EQ(run("eval -c run.json --run-dir run").code, 0);
  ASSERT_GT(artefacts("perturbed").size(), perturbed.size());
  const auto gone = run("store gc --needed-by twins.json --delete");
  EXPECT_EQ(gone.code, 0) << gone.err;
  EXPECT_FALSE(contains(gone.err, "not in the store")) << gone.err;
  EXPECT_EQ(artefacts("perturbed"), perturbed);
  EXPECT_EQ(artefacts("transformed"), transformed);
  EXPECT_TRUE(artefacts("embedded").empty());
  fs::remove_all(transformed.front());
  const auto unknown = run("store gc --needed-by twins.json");
  EXPECT_TRUE(contains(unknown.err, "twins.json: 1 of ")) << unknown.err;
}

TEST_F(E2eStore, TheDoctorSaysWhatIsHereAndWhetherItIsSound) {
  link_project(folder_ / "home");
  const auto doctor = [&] {
    return run_binary("doctor --format csv --store new/store", folder_.path, "FACEPOISON_HOME=home");
  };
  const auto well = doctor();
  EXPECT_EQ(well.code, 0) << well.err;
  for (const auto* part : {"LibTorch,", "OpenCV,", "threads,", "instruction set,", "device cpu,", "home,", "store,ok,",
                           "mtcnn,missing,", "small-arcface,ok,", "dlib,missing,to get it: scripts/fetch_models.py"})
    EXPECT_TRUE(contains(well.out, part)) << part << "\n" << well.out;
  EXPECT_FALSE(fs::exists(folder_ / "new")) << "it leaves nothing behind";
  EXPECT_TRUE(contains(run_binary("doctor --format csv --store photos", folder_.path, "FACEPOISON_HOME=home").out,
                       "store,not a store,"));
  write_file(folder_ / "home/models/dlib.pt", "no network");
  const auto ill = doctor();
  EXPECT_EQ(ill.code, 4);
  EXPECT_TRUE(contains(ill.out, "dlib,broken,")) << ill.out;
}

}  // namespace
}  // namespace facepoison::testing
