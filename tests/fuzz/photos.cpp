#include "facepoison/photos.hpp"
#include "fuzz.hpp"

// The lists beside photos: FaceScrub's, or, where the input begins with "id,", landmarks.csv.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace facepoison;
  return fuzz::reads(data, size, [](std::string_view bytes) {
    static const fs::path photo = fuzz::written("photos/Ann_Other/1.jpg", "\xff\xd8\xff");
    const auto root = photo.parent_path().parent_path();
    const bool landmarks = bytes.starts_with("id,");
    fs::remove(root / (landmarks ? "facescrub_x.txt" : "landmarks.csv"));
    fuzz::written(landmarks ? "photos/landmarks.csv" : "photos/facescrub_x.txt", bytes);
    const auto folder = scan_photos(root);
    for (const auto& file : folder.photos) folder.landmarks_of(file), folder.box_of(file, std::string(64, '0'));
  });
}
