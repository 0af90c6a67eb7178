// The detector on real photos: FACEPOISON_REAL_PHOTOS names a folder of <person>/*.jpg, one clear face each.
#include "facepoison/detect.hpp"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <future>
#include <memory>
#include <optional>

#include "facepoison/files.hpp"
#include "facepoison/home.hpp"

namespace facepoison {
namespace {

constexpr std::size_t most_photos = 60;

// At most `most_photos`, evenly from all people.
std::vector<Image> load_photos(const fs::path& folder) {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.path().extension() == ".jpg") paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  const std::size_t count = std::min(most_photos, paths.size());
  std::vector<Image> photos;
  for (std::size_t i = 0; i < count; ++i)
    photos.push_back(decode_image(read_file(paths[i * paths.size() / count]), Exif::rotate));
  return photos;
}

Image mirrored(Image image) {
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width / 2; ++x)
      for (int c = 0; c < 3; ++c)
        std::swap(image.rgb[(y * image.width + x) * 3 + c], image.rgb[(y * image.width + image.width - 1 - x) * 3 + c]);
  return image;
}

double distance(Point a, Point b) { return std::hypot(a.x - b.x, a.y - b.y); }

class RealDetect : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const char* folder = std::getenv("FACEPOISON_REAL_PHOTOS");
    if (!folder || !fs::is_directory(folder)) {
      reason_ = "FACEPOISON_REAL_PHOTOS names no folder of photos";
    } else if (!fs::exists(project_home() / "models" / "mtcnn.pt")) {
      reason_ = "no models/mtcnn.pt: scripts/fetch_models.py mtcnn";
    } else {
      photos_ = load_photos(folder);
      detector_ = std::make_unique<FaceDetector>();
      if (photos_.empty()) reason_ = "no .jpg under FACEPOISON_REAL_PHOTOS";
    }
  }
  static void TearDownTestSuite() {
    photos_.clear();
    detector_.reset();
  }
  void SetUp() override {
    if (!reason_.empty()) GTEST_SKIP() << reason_;
  }

  // The largest face: with several faces, the best score may change by chance.
  static std::optional<Detection> find(const Image& image) {
    const auto faces = detector_->detect(image);
    if (faces.empty()) return {};
    return *std::max_element(faces.begin(), faces.end(),
                             [](const auto& a, const auto& b) { return a.box.area() < b.box.area(); });
  }

  // Distances between the landmarks of each photo and those of its altered copy carried back, in eye distances.
  template <class Alter, class CarryBack>
  static std::vector<double> differences(std::size_t step, Alter alter, CarryBack carry_back) {
    std::vector<double> all;
    for (std::size_t i = 0; i < photos_.size(); i += step) {
      const auto plain = find(photos_[i]), altered = find(alter(photos_[i]));
      EXPECT_TRUE(plain && altered) << "photo " << i;
      if (!plain || !altered) continue;
      const Landmarks back = carry_back(altered->landmarks, photos_[i]);
      const double eyes = distance(plain->landmarks[0], plain->landmarks[1]);
      for (std::size_t k = 0; k < 5; ++k) all.push_back(distance(plain->landmarks[k], back[k]) / eyes);
    }
    return all;
  }
  // Not the largest: the nets are unsure on a dark photo or a half profile.
  static void expect_small(std::vector<double> differences) {
    ASSERT_FALSE(differences.empty());
    double sum = 0;
    for (const double d : differences) sum += d;
    std::sort(differences.begin(), differences.end());
    EXPECT_LT(sum / static_cast<double>(differences.size()), .05);
    EXPECT_LT(differences[differences.size() * 95 / 100], .1);
  }

  static inline std::string reason_;
  static inline std::vector<Image> photos_;
  static inline std::unique_ptr<FaceDetector> detector_;
};

TEST_F(RealDetect, FindsAFaceInNearlyAllPhotos) {
  const auto found =
      std::count_if(photos_.begin(), photos_.end(), [](const Image& photo) { return find(photo).has_value(); });
  EXPECT_GE(static_cast<double>(found), .99 * static_cast<double>(photos_.size()));
}

TEST_F(RealDetect, GivesLandmarksInTheirOrderInsideTheBox) {
  for (const Image& photo : photos_)
    for (const auto& face : detector_->detect(photo)) {
      const auto& [left_eye, right_eye, nose, left_mouth, right_mouth] = face.landmarks;
      EXPECT_LT(left_eye.x, right_eye.x);
      EXPECT_LT(left_mouth.x, right_mouth.x);
      EXPECT_LT(std::max(left_eye.y, right_eye.y), std::min(left_mouth.y, right_mouth.y));
      EXPECT_TRUE(nose.x > face.box.x1 && nose.x < face.box.x2 && nose.y > face.box.y1 && nose.y < face.box.y2);
      EXPECT_GE(face.score, .8);
      EXPECT_LE(face.score, 1);
    }
}

TEST_F(RealDetect, GivesTheBestScoreFirst) {
  for (const Image& photo : photos_) {
    const auto faces = detector_->detect(photo);
    EXPECT_TRUE(
        std::is_sorted(faces.begin(), faces.end(), [](const auto& a, const auto& b) { return a.score > b.score; }));
  }
}

TEST_F(RealDetect, MirrorsLandmarksWithThePicture) {
  expect_small(differences(1, mirrored, [](const Landmarks& found, const Image& photo) {
    const auto back = [&](Point p) { return Point{photo.width - 1 - p.x, p.y}; };
    return Landmarks{back(found[1]), back(found[0]), back(found[2]), back(found[4]), back(found[3])};
  }));
}

TEST_F(RealDetect, FindsTheSameFaceInAnEnlargedPicture) {
  const auto enlarged = [](const Image& photo) { return resize_image(photo, photo.width * 6, photo.height * 6); };
  expect_small(differences(4, enlarged, [](const Landmarks& found, const Image&) {
    Landmarks back;
    for (std::size_t k = 0; k < 5; ++k) back[k] = {(found[k].x + .5) / 6 - .5, (found[k].y + .5) / 6 - .5};
    return back;
  }));
}

TEST_F(RealDetect, GivesTheSameBitsForAnyThread) {
  const auto all = [] {
    std::vector<double> numbers;
    for (std::size_t i = 0; i < photos_.size(); i += 6)
      for (const auto& face : detector_->detect(photos_[i])) {
        for (const auto& p : face.landmarks) numbers.insert(numbers.end(), {p.x, p.y});
        numbers.push_back(face.score);
      }
    return numbers;
  };
  const auto expected = all();
  const int threads = at::get_num_threads();
  at::set_num_threads(threads + 1);
  EXPECT_EQ(all(), expected);
  EXPECT_EQ(at::get_num_threads(), threads + 1) << "the caller's number of threads has changed";
  at::set_num_threads(threads);
  auto first = std::async(std::launch::async, all), second = std::async(std::launch::async, all);
  EXPECT_EQ(first.get(), expected);
  EXPECT_EQ(second.get(), expected);
}

TEST_F(RealDetect, FindsNothingWhereNothingIs) {
  for (const int value : {0, 128, 255})
    for (const auto& [width, height] :
         {std::pair{256, 256}, {1, 1}, {12, 12}, {20, 21}, {3000, 1}, {1, 3000}, {1500, 700}}) {
      const Image blank{width, height,
                        std::vector<std::uint8_t>(std::size_t{3} * width * height, static_cast<std::uint8_t>(value))};
      EXPECT_TRUE(detector_->detect(blank).empty()) << width << "x" << height << " of " << value;
    }
}

}  // namespace
}  // namespace facepoison
