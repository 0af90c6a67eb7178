// The project's folder: where the program looks for it, and the error if it has no cards.
#include "facepoison/home.hpp"

#include <cstdlib>

#include "support/support.hpp"

namespace facepoison {
namespace {

using namespace testing;

class ProjectHomeTest : public ::testing::Test {
 protected:
  void TearDown() override { unsetenv("FACEPOISON_HOME"); }
  static fs::path home(const std::string& value) {
    setenv("FACEPOISON_HOME", value.c_str(), 1);
    return project_home();
  }
};

TEST_F(ProjectHomeTest, SaysThatThereAreNoCards) {
  const TempFolder folder;
  for (const auto& path : {folder.path, folder / "nowhere"}) {
    const auto [code, message] = caught([&] { home(path); });
    EXPECT_EQ(code, Exit::usage);
    EXPECT_EQ(message, concat("FACEPOISON_HOME=", path.string(), " holds no configs/extractors"));
  }
  fs::create_directories(folder / "configs" / "extractors");
  EXPECT_EQ(home(folder.path), folder.path);
}

TEST_F(ProjectHomeTest, TakesAnEmptyNameForNone) {
  unsetenv("FACEPOISON_HOME");
  std::string unset;
  try {
    unset = project_home();
  } catch (const Error& error) {  // a test binary that was built elsewhere
    unset = error.what();
  }
  try {
    EXPECT_EQ(home("").string(), unset);
  } catch (const Error& error) {
    EXPECT_EQ(error.what(), unset);
  }
}

TEST_F(ProjectHomeTest, AnInstalledProgramTakesTheUsersOwnFilesToo) {
  const TempFolder folder;
  const auto shipped = folder / "share" / "facepoison", own = folder / "own" / "facepoison";
  write_file(shipped / "configs" / "extractors" / "both.json", "{}");
  write_file(own / "configs" / "extractors" / "both.json", "{}");
  write_file(own / "configs" / "extractors" / "mine.json", "{}");
  const std::string data = folder / "own", cache = folder / "cache";
  setenv("XDG_DATA_HOME", data.c_str(), 1);
  setenv("XDG_CACHE_HOME", cache.c_str(), 1);
  home(shipped);
  EXPECT_EQ(own_home(), own);
  EXPECT_EQ(default_store(), folder / "cache" / "facepoison" / "store");
  EXPECT_EQ(names_in("configs/extractors"), (std::vector<std::string>{"both", "mine"}));
  EXPECT_EQ(resolve_named("both", "configs/extractors"), shipped / "configs" / "extractors" / "both.json");
  EXPECT_EQ(resolve_named("mine", "configs/extractors"), own / "configs" / "extractors" / "mine.json");
  EXPECT_EQ(model_path("mine.pt", ""), own / "models" / "mine.pt");
  setenv("XDG_DATA_HOME", "relative", 1);
  EXPECT_EQ(own_home().filename(), "facepoison");
  EXPECT_TRUE(own_home().is_absolute());
  unsetenv("XDG_DATA_HOME");
  unsetenv("XDG_CACHE_HOME");
  home(own);
  EXPECT_EQ(own_home(), own) << "a source tree has one folder";
  EXPECT_EQ(default_store(), own / "store");
}

}  // namespace
}  // namespace facepoison
