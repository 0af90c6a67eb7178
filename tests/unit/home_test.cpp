// The project's folder: where it is looked for, and what is said where it holds no cards.
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

}  // namespace
}  // namespace facepoison
