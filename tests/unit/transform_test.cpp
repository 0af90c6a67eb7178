// Transforms of a posted picture.
#include <cmath>
#include <cstdio>
#include <set>

#include "facepoison/transform.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

const std::vector<Json> one_of_each = {{{"transform", "jpeg"}, {"quality", 75}},
                                       {{"transform", "resize"}, {"scale", 0.5}},
                                       {{"transform", "blur"}, {"sigma", 1.5}},
                                       {{"transform", "median"}},
                                       {{"transform", "bits"}, {"bits", 2}},
                                       {{"transform", "grey"}},
                                       {{"transform", "noise"}, {"deviation", 4}},
                                       {{"transform", "crop"}, {"share", 0.8}},
                                       {{"transform", "retouch"}}};  // and side, purifier

Json one_purifier(const TempFolder& folder) {
  return {{"transform", "purifier"}, {"card", write_tiny_purifier(folder.path, 0.5).string()}};
}

Canvas drawn() { return {draw_photo(3, 0, 64), canvas_landmarks()}; }

double mean_difference(const Image& a, const Image& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.rgb.size(); ++i) sum += std::abs(int{a.rgb[i]} - int{b.rgb[i]});
  return sum / static_cast<double>(a.rgb.size());
}

TEST(Transform, EveryRowKeepsTheSizeAndGivesTheSameEachTime) {
  const TempFolder folder;
  auto rows = one_of_each;
  rows.push_back(one_purifier(folder));
  std::set<std::string> seen;
  for (const auto& wanted : rows) {
    const auto transform = make_transform(wanted);
    seen.insert(wanted["transform"]);
    const Image before = drawn().image;
    const Canvas once = (*transform)(drawn(), 1, "p/a"), again = (*transform)(drawn(), 1, "p/a");
    EXPECT_EQ(once.image.width, before.width) << wanted;
    EXPECT_EQ(once.image.height, before.height) << wanted;
    EXPECT_EQ(once.image.rgb, again.image.rgb) << wanted;
    EXPECT_GT(mean_difference(once.image, before), 0.3) << wanted << " did nothing";
    EXPECT_LT(mean_difference(once.image, before), 64) << wanted << " left nothing";
    EXPECT_TRUE(transform->identity().contains("version")) << wanted;
    EXPECT_EQ(transform->is_random(), wanted["transform"] == "noise");
    const bool moved = once.landmarks != drawn().landmarks;
    EXPECT_EQ(moved, wanted["transform"] == "crop") << wanted;
  }
  for (const auto& row : transform_registry())
    EXPECT_TRUE(seen.count(row.name) || row.name == "side") << row.name << " is not tested here";
}

// Some bytes of an even picture, in hexadecimal digits.
std::string some_bytes(const Image& image) {
  std::string digits;
  for (std::size_t i = 0; i < 64; ++i) {
    char text[3];
    std::snprintf(text, sizeof text, "%02x", image.rgb[(2 * i + 1) * image.rgb.size() / 128]);
    digits += text;
  }
  return digits;
}

// The cache keys pictures by a transform's version, so changed bytes need a new version. Another build of OpenCV or
// libjpeg may round a grey level differently.
TEST(Transform, TheSameVersionGivesTheSameBytes) {
  Image picture{48, 48, {}};
  for (int y = 0; y < 48; ++y)
    for (int x = 0; x < 48; ++x)
      for (int c = 0; c < 3; ++c)
        picture.rgb.push_back(static_cast<std::uint8_t>(std::abs((5 * x + 3 * y + 60 * c + x * y / 9) % 510 - 255)));
  const Json all = read_json(fs::path(FACEPOISON_ROOT) / "tests/golden/transforms.json");
  auto wanted = one_of_each;
  wanted.push_back({{"transform", "side"}, {"side", 32}});
  const TempFolder folder;
  wanted.push_back(one_purifier(folder));
  std::set<std::string> seen;
  for (const auto& one : wanted) {
    const auto name = one["transform"].get<std::string>();
    seen.insert(name);
    const auto transform = make_transform(one);
    const Json found = {{"version", transform->identity().at("version")},
                        {"bytes", some_bytes((*transform)({picture, {}}, 1, "p/a").image)}};
    const Json golden = all.value(name, Json{{"version", 0}, {"bytes", std::string(128, '0')}});
    const auto before = golden["bytes"].get<std::string>(), now = found["bytes"].get<std::string>();
    int most = 0;
    for (std::size_t i = 0; i < now.size(); i += 2)
      most = std::max(most,
                      std::abs(std::stoi(before.substr(i, 2), nullptr, 16) - std::stoi(now.substr(i, 2), nullptr, 16)));
    EXPECT_TRUE(golden["version"] == found["version"] && most <= 1)
        << "bytes differ by " << most << ". If the change is meant, raise the transform's version in "
        << "src/data/transforms/registry.cpp, and write to tests/golden/transforms.json:\n\"" << name
        << "\": " << found.dump();
  }
  for (const auto& row : transform_registry()) EXPECT_TRUE(seen.count(row.name)) << row.name;
}

TEST(Transform, SideIsThePicturesOwnAndLandmarksKeepTheirPlace) {
  const Canvas small = (*make_transform({{"transform", "side"}, {"side", 32}}))(drawn(), 0, "p/a");
  EXPECT_EQ(small.image.width, 32);
  EXPECT_EQ(small.image.height, 32);
  EXPECT_EQ(small.image.rgb, resample_image(drawn().image, 32, 32, Interpolation::bicubic, true).rgb);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_DOUBLE_EQ((*small.landmarks)[i].x, ((*drawn().landmarks)[i].x + 0.5) / 2 - 0.5);
    EXPECT_DOUBLE_EQ((*small.landmarks)[i].y, ((*drawn().landmarks)[i].y + 0.5) / 2 - 0.5);
  }
}

TEST(Transform, IsNamedByWhatWasWritten) {
  const auto name = [](const Json& wanted) { return make_transform(wanted)->name(); };
  EXPECT_EQ(name({{"transform", "jpeg"}, {"quality", 75}}), "jpeg-75");
  EXPECT_EQ(name({{"transform", "jpeg"}, {"quality", 75}, {"subsampling", "444"}}), "jpeg-75-444");
  EXPECT_EQ(name({{"transform", "resize"}, {"scale", 0.5}}), "resize-0.5");
  EXPECT_EQ(name("grey"), "grey");
  EXPECT_EQ(name({{"transform", "grey"}, {"name", "old"}}), "old");
  const TempFolder folder;
  EXPECT_EQ(name(one_purifier(folder)), "purifier-purifier") << "the card's name, not its path";
  const Json links = {{{"transform", "resize"}, {"scale", 0.5}}, {{"transform", "jpeg"}, {"quality", 75}}};
  EXPECT_EQ(name({{"chain", links}}), "resize-0.5+jpeg-75");
  EXPECT_EQ(name({{"chain", links}, {"name", "site"}}), "site");
  EXPECT_EQ(make_transform("none"), nullptr);
  // The name does not change the result.
  EXPECT_EQ(make_transform({{"transform", "grey"}, {"name", "old"}})->identity(), make_transform("grey")->identity());
}

TEST(Transform, AChainIsOneAfterTheOther) {
  const auto chain = make_transform({{"chain", {one_of_each[1], one_of_each[7], one_of_each[6]}}});
  Canvas step = drawn();
  for (const auto k : {1, 7, 6}) step = (*make_transform(one_of_each[static_cast<std::size_t>(k)]))(step, 9, "p/a");
  const Canvas out = (*chain)(drawn(), 9, "p/a");
  EXPECT_EQ(out.image.rgb, step.image.rgb);
  EXPECT_EQ(out.landmarks, step.landmarks);
  EXPECT_TRUE(chain->is_random());
}

TEST(Transform, DoesWhatItsNameSays) {
  const auto of = [](const Json& wanted, const std::string& photo = "p/a") {
    return (*make_transform(wanted))(drawn(), 1, photo);
  };
  const Image before = drawn().image;
  const auto bits = of({{"transform", "bits"}, {"bits", 2}}).image.rgb;
  for (const int level : bits) ASSERT_EQ(level % 85, 0) << "2 bits are the levels 0, 85, 170, 255";
  const auto grey = of("grey").image.rgb;
  for (std::size_t i = 0; i < grey.size(); i += 3)
    ASSERT_TRUE(grey[i] == grey[i + 1] && grey[i] == grey[i + 2]) << "pixel " << i / 3;
  EXPECT_EQ(of({{"transform", "resize"}, {"scale", 1}}).image.rgb, before.rgb);
  EXPECT_EQ(of({{"transform", "crop"}, {"share", 1}}).image.rgb, before.rgb);
  // A better JPEG is nearer, and 4:4:4 keeps more of the colours than 4:2:0.
  const auto jpeg = [&](int quality, const char* sampling) {
    return mean_difference(of({{"transform", "jpeg"}, {"quality", quality}, {"subsampling", sampling}}).image, before);
  };
  EXPECT_LT(jpeg(95, "420"), jpeg(50, "420"));
  EXPECT_LT(jpeg(95, "444"), jpeg(95, "420"));
  // Each photo has its own noise, of the given size: E|x| = σ·√(2/π).
  const auto noisy = of({{"transform", "noise"}, {"deviation", 3}});
  EXPECT_NE(noisy.image.rgb, of({{"transform", "noise"}, {"deviation", 3}}, "p/b").image.rgb);
  Canvas flat{{64, 64, std::vector<std::uint8_t>(64 * 64 * 3, 128)}, {}};
  const auto noise = (*make_transform({{"transform", "noise"}, {"deviation", 3}}))(flat, 1, "p/a");
  EXPECT_NEAR(mean_difference(noise.image, flat.image), 3 * std::sqrt(2 / M_PI), 0.1);
}

TEST(Transform, CropMovesThePictureAndItsLandmarksAlike) {
  Canvas canvas{{101, 101, std::vector<std::uint8_t>(101 * 101 * 3, 0)}, Landmarks{}};
  const Point dot{30, 60};
  for (int dy = -1; dy <= 1; ++dy)
    for (int dx = -1; dx <= 1; ++dx) canvas.image.rgb[static_cast<std::size_t>(((60 + dy) * 101 + 30 + dx) * 3)] = 255;
  canvas.landmarks->fill(dot);
  const auto out = (*make_transform({{"transform", "crop"}, {"share", 0.5}}))(canvas, 0, "p/a");
  const Point moved = out.landmarks->front();
  EXPECT_NEAR(moved.x, 10, 1e-9);  // 50 + 2 · (30 − 50)
  EXPECT_NEAR(moved.y, 70, 1e-9);
  EXPECT_EQ(out.image.rgb[(70 * 101 + 10) * 3], 255);
  EXPECT_EQ(out.image.rgb[(60 * 101 + 30) * 3], 0);
}

TEST(Transform, SaysWhatIsWrong) {
  for (const auto& [wanted, part] : std::vector<std::pair<Json, std::string>>{
           {"jpg", "jpeg"},
           {5, "expected \"none\" or an object"},
           {{{"transform", "jpeg"}}, "quality"},
           {{{"transform", "jpeg"}, {"quality", 101}}, "1 to 100"},
           {{{"transform", "jpeg"}, {"quality", 75}, {"subsampling", "411"}}, "420"},
           {{{"transform", "median"}, {"size", 4}}, "odd"},
           {{{"transform", "resize"}, {"scale", 2}}, "scale"},
           {{{"transform", "grey"}, {"qualty", 3}}, "qualty"},
           {{{"chain", Json::array()}}, "expected a list"},
           {{{"chain", {"none"}}}, "found \"none\" in the list"},
           {{{"chain", {"grey"}}, {"scale", 1}}, "scale"}}) {
    const auto [code, message] = caught([&, w = wanted] { make_transform(w); });
    EXPECT_EQ(code, Exit::usage) << wanted;
    EXPECT_TRUE(contains(message, part)) << wanted << ": " << message;
  }
}

}  // namespace
}  // namespace facepoison::testing
