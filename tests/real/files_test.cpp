// Detects faces again in perturbed files of rendered people; needs the fetched detector.
#include "facepoison/prepare.hpp"
#include "facepoison/posted.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

TEST(RealFiles, ARedetectedFaceMayBeCroppedButNotSomebodyElses) {
  const fs::path root = FACEPOISON_ROOT;
  if (!fs::exists(root / "models/mtcnn.pt")) GTEST_SKIP() << "no models/mtcnn.pt; scripts/fetch_models.py fetches it";
  setenv("FACEPOISON_HOME", FACEPOISON_ROOT, 1);
  const TempFolder folder;
  ArtifactStore store(folder / "store");
  PrepareOptions options;
  options.people = {"gallery-000", "gallery-050"};
  PhotoFolder photos = scan_photos(root / "data/rendered");
  std::erase_if(photos.photos, [](const PhotoFile& photo) { return fs::path(photo.id).stem() > "05"; });
  const Dataset dataset = prepare(photos, folder / "dataset", options, store);
  ASSERT_EQ(dataset.photos.size(), 12u);
  const auto cloak = [&](std::size_t i, std::size_t shown, int margin) {
    const auto& photo = dataset.photos[i];
    const Image image = decode_image(read_file(root / "data/rendered" / dataset.photos[shown].source), Exif::rotate);
    write_file(folder / "cloaks" / photo.person / (fs::path(photo.source).stem().string() + "_cloaked.png"),
               encode_png(crop_image(image, margin, margin, image.width - 2 * margin, image.height - 2 * margin)));
  };
  const auto run = [&] {
    const Json request = {{"preset", "files"}, {"folder", (folder / "cloaks").string()}, {"redetect", true}};
    const auto attack = make_attack(request, {});
    return perturb(dataset.photos, dataset.photos, *attack, 0, {}, store);
  };
  for (std::size_t i = 0; i < 12; ++i) cloak(i, i, 10);
  EXPECT_NO_THROW(run());
  for (std::size_t i = 0; i < 12; ++i) cloak(i, (i + 6) % 12, 0);
  const auto [code, message] = caught(run);
  EXPECT_EQ(code, Exit::input);
  EXPECT_TRUE(contains(message, "of 12 files show a different picture")) << message;
  unsetenv("FACEPOISON_HOME");
}

}  // namespace
}  // namespace facepoison::testing
