// The detector without its network: geometry, and the error for a missing network.
#include "facepoison/detect.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>

#include "facepoison/digests.hpp"
#include "facepoison/error.hpp"
#include "facepoison/files.hpp"

namespace facepoison {
namespace {

TEST(Overlap, IsOneForTheSameBox) { EXPECT_DOUBLE_EQ(overlap({1, 2, 4, 6}, {1, 2, 4, 6}), 1); }

TEST(Overlap, IsTheSharedPartOfTheUnion) {
  EXPECT_DOUBLE_EQ(overlap({0, 0, 2, 2}, {1, 0, 3, 2}), 1. / 3);
  EXPECT_DOUBLE_EQ(overlap({1, 0, 3, 2}, {0, 0, 2, 2}), 1. / 3);
  EXPECT_DOUBLE_EQ(overlap({0, 0, 10, 10}, {2, 2, 4, 4}), .04);  // one inside the other
}

TEST(Overlap, IsZeroApartAndAtATouch) {
  EXPECT_EQ(overlap({0, 0, 1, 1}, {2, 0, 3, 1}), 0);
  EXPECT_EQ(overlap({0, 0, 1, 1}, {0, 2, 1, 3}), 0);
  EXPECT_EQ(overlap({0, 0, 1, 1}, {1, 0, 2, 1}), 0);
}

TEST(Overlap, IsZeroForBoxesWithoutArea) {
  EXPECT_EQ(overlap({}, {}), 0);
  EXPECT_EQ(overlap({1, 1, 1, 3}, {0, 0, 4, 4}), 0);
  EXPECT_EQ(overlap({3, 3, 1, 1}, {0, 0, 4, 4}), 0);  // corners the wrong way round
}

// A project folder of its own, given back at the end.
class FaceDetectorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const char* home = std::getenv("FACEPOISON_HOME")) before_ = home;
    setenv("FACEPOISON_HOME", home_.c_str(), 1);
    fs::create_directories(home_ / "configs" / "extractors");
  }
  void TearDown() override {
    fs::remove_all(home_);
    before_ ? setenv("FACEPOISON_HOME", before_->c_str(), 1) : unsetenv("FACEPOISON_HOME");
  }
  void write_card(const std::string& text) { write_file(home_ / "configs" / "detectors" / "mtcnn.json", text); }
  // The kind of error and its message.
  static std::pair<Exit, std::string> problem() {
    try {
      FaceDetector detector;
    } catch (const Error& error) {
      return {error.code(), error.what()};
    }
    return {Exit::ok, ""};
  }

  fs::path home_ = temporary_name(fs::temp_directory_path());

 private:
  std::optional<std::string> before_;
};

TEST_F(FaceDetectorTest, SaysWhichNetworkIsMissing) {
  write_card(R"({"file": "mtcnn.pt"})");
  const auto [code, message] = problem();
  EXPECT_EQ(code, Exit::model);
  EXPECT_NE(message.find((home_ / "models" / "mtcnn.pt").string()), std::string::npos) << message;
}

TEST_F(FaceDetectorTest, RefusesAnAlteredNetwork) {
  write_card(R"({"file": "mtcnn.pt"})");
  write_file(home_ / "models" / "mtcnn.pt", "altered");
  write_file(home_ / "models" / "mtcnn.json", concat(R"({"sha256": ")", sha256("as converted"), "\"}"));
  EXPECT_EQ(problem().first, Exit::model);
}

TEST_F(FaceDetectorTest, RefusesANetworkThatIsNoTorchScriptAtTheFirstPicture) {
  write_card(concat(R"({"file": "mtcnn.pt", "sha256": ")", sha256("no network"), "\"}"));
  write_file(home_ / "models" / "mtcnn.pt", "no network");
  const FaceDetector detector;
  EXPECT_EQ(detector.sha256(), sha256("no network"));
  EXPECT_TRUE(detector.detect({}).empty());  // no picture, no need for the network
  for (int attempt = 0; attempt < 2; ++attempt) {
    try {
      detector.detect({1, 1, {0, 0, 0}});
      ADD_FAILURE() << "no error at attempt " << attempt;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Exit::model);
    }
  }
}

TEST_F(FaceDetectorTest, NeedsACardThatNamesTheFile) {
  EXPECT_NE(problem().first, Exit::ok);  // no card at all
  for (const char* card : {R"({"title": "MTCNN"})", R"({"file": 3})", "[]"}) {
    write_card(card);
    const auto [code, message] = problem();
    EXPECT_EQ(code, Exit::model) << card;
    EXPECT_NE(message.find("mtcnn.json"), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace facepoison
