// A user asks about their own photos: a rendered person, among others.
#include <sys/file.h>

#include <fcntl.h>
#include <unistd.h>

#include "support/support.hpp"

namespace facepoison::testing {
namespace {

class E2eAudit : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto rendered = fs::path(FACEPOISON_ROOT) / "data/rendered";
    std::string landmarks;
    std::istringstream lines(read_file(rendered / "landmarks.csv"));
    for (std::string line; std::getline(lines, line);)
      if (!line.starts_with("gallery-") || line < "gallery-006") landmarks += line + "\n";
    for (const auto* tree : {"crowd", "mine"}) write_file(folder_ / tree / "landmarks.csv", landmarks);
    for (int person = 1; person < 6; ++person)
      fs::copy(rendered / concat("gallery-00", person), folder_ / "crowd" / concat("gallery-00", person));
    for (int photo = 0; photo < 8; ++photo) add_photo("gallery-000", photo);
    fs::create_directories(folder_ / "temporary");
  }

  void add_photo(const std::string& person, int photo) {
    fs::create_directories(folder_ / "mine/gallery-000");
    const auto name = concat("0", photo, ".jpg");
    fs::copy(fs::path(FACEPOISON_ROOT) / "data/rendered" / person / name, folder_ / "mine/gallery-000" / name,
             fs::copy_options::overwrite_existing);
  }

  Outcome audit(const std::string& options, const std::string& before = "") {
    return run_binary(concat("audit mine/gallery-000 --crowd crowd -e small-arcface,robust-small-arcface ", options),
                      folder_.path, concat("env TMPDIR='", (folder_ / "temporary").string(), "' ", before));
  }

  bool nothing_is_left() const { return fs::is_empty(folder_ / "temporary"); }

  TempFolder folder_;
};

TEST_F(E2eAudit, AnswersAndLeavesNothing) {
  const auto outcome = audit("--attack pgd-small -o page.html --format csv");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Table table = parse_csv(outcome.out, "stdout");
  std::set<std::string> recognisers, posted, transforms, clean;
  for (const auto& row : table.rows) {
    recognisers.insert(named(table, row, "recogniser"));
    posted.insert(named(table, row, "posted"));
    transforms.insert(named(table, row, "transform"));
    clean.insert(named(table, row, "clean_photos"));
    EXPECT_EQ(named(table, row, "n"), "8");
  }
  EXPECT_EQ(recognisers, (std::set<std::string>{"small-arcface", "robust-small-arcface",
                                                "small-arcface with robust-small-arcface"}));
  EXPECT_EQ(posted, (std::set<std::string>{"as they are", "pgd-small"}));
  EXPECT_EQ(transforms.size(), 4u);
  EXPECT_EQ(clean, (std::set<std::string>{"0", "1"})) << "of 4 posted photos 5 cannot be clean";
  for (const auto* part : {"question: are you found", "Among 6 people", "robust-small-arcface names you on ",
                           "The detector small-cloak-detector says "})
    EXPECT_TRUE(contains(outcome.err, part)) << part << "\n" << outcome.err;
  const auto page = read_file(folder_ / "page.html");
  EXPECT_TRUE(contains(page, "Am I found when every photo that I post is cloaked?"));
  for (const auto* absent : {"00.jpg", "data:image/jpeg", "mine/gallery-000"}) EXPECT_FALSE(contains(page, absent));
  EXPECT_TRUE(nothing_is_left());
  EXPECT_FALSE(fs::exists(folder_ / "runs"));
}

TEST_F(E2eAudit, TakesFilesOfAnotherToolAndShowsPhotosWhenAsked) {
  fs::create_directories(folder_ / "cloaked");
  for (const auto& photo : fs::directory_iterator(folder_ / "mine/gallery-000"))
    fs::copy(photo.path(), folder_ / "cloaked" / (photo.path().stem().string() + "_cloaked.jpg"));
  const auto outcome = audit("--cloaked cloaked --keep-store store --with-photos -o page.html --format csv");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Table table = parse_csv(outcome.out, "stdout");
  std::map<std::string, std::set<std::string>> found;  // equal pictures give equal results
  for (const auto& row : table.rows)
    if (named(table, row, "transform") == "none" && named(table, row, "clean_photos") == "0")
      found[named(table, row, "recogniser")].insert(named(table, row, "found"));
  for (const auto& [recogniser, shares] : found) EXPECT_EQ(shares.size(), 1u) << recogniser;
  EXPECT_TRUE(fs::exists(folder_ / "store/embedded"));
  const auto page = read_file(folder_ / "page.html");
  EXPECT_TRUE(contains(page, "title=\"07.jpg\" src=\"data:image/jpeg;base64,"));
}

TEST_F(E2eAudit, LeavesOutPhotosOfSomebodyElse) {
  add_photo("gallery-007", 8);
  const auto outcome = audit("--format csv");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Table table = parse_csv(outcome.out, "stdout");
  EXPECT_EQ(named(table, table.rows.at(0), "n"), "8");
}

TEST_F(E2eAudit, SaysWhatIsMissing) {
  for (int photo = 5; photo < 8; ++photo) fs::remove(folder_ / "mine/gallery-000" / concat("0", photo, ".jpg"));
  write_file(folder_ / "mine/gallery-000/x.jpg", "no picture");
  const auto few = audit("");
  EXPECT_EQ(few.code, 3);
  EXPECT_TRUE(contains(few.err, "5 usable photos of you, but 6 are needed")) << few.err;
  EXPECT_TRUE(contains(few.err, "Not used: 1 ")) << few.err;
  EXPECT_TRUE(nothing_is_left());
  EXPECT_EQ(run_binary("audit nowhere", folder_.path).code, 3);
  EXPECT_EQ(audit("--attack paint").code, 2);
  EXPECT_EQ(audit("--attack pgd-small --cloaked crowd").code, 2);
  EXPECT_EQ(audit("-o mine/gallery-000/new.jpg").code, 2);
}

// A person of the crowd with the same photos is the same person.
TEST_F(E2eAudit, ThePersonIsNotInTheCrowdToo) {
  fs::copy(folder_ / "mine/gallery-000", folder_ / "crowd/gallery-000");
  const auto outcome = audit("");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(contains(outcome.err, "gallery-000 in the crowd has some of your photos")) << outcome.err;
  EXPECT_TRUE(contains(outcome.err, "Among 6 people")) << outcome.err;
}

TEST_F(E2eAudit, TheNextOneRemovesWhatAKilledOneLeft) {
  const auto killed = folder_ / "temporary/facepoison-audit-killed",
             running = folder_ / "temporary/facepoison-audit-runs";
  const auto somebodys = folder_ / "temporary/facepoison-audit-of-somebody";
  for (const auto& one : {killed, running}) write_file(one / "lock", "locked\n");
  write_file(somebodys / "letter.txt", "");
  const int lock = open((running / "lock").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(flock(lock, LOCK_EX), 0);
  audit("--attack paint");
  EXPECT_FALSE(fs::exists(killed));
  EXPECT_TRUE(fs::exists(running) && fs::exists(somebodys));
  close(lock);
  const auto interrupted = audit("", "sh -c '\"$@\" & sleep 1; kill -TERM $!; wait $!' sh");
  EXPECT_EQ(interrupted.code, 143) << interrupted.err;
  EXPECT_FALSE(fs::exists(running));
  fs::remove_all(somebodys);
  EXPECT_TRUE(nothing_is_left());
}

// A network namespace without any network.
TEST_F(E2eAudit, NeedsNoNetwork) {
  if (std::system("unshare -r -n true 2>/dev/null") != 0) GTEST_SKIP() << "no network namespaces here";
  const auto outcome = audit("", "unshare -r -n");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

}  // namespace
}  // namespace facepoison::testing
