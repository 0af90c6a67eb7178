// The lists that lie beside photos: landmarks.csv, and FaceScrub's boxes. See scan_photos().
#pragma once
#include "facepoison/photos.hpp"

namespace facepoison {

std::string lower_case(std::string text);  // ASCII only

// Adds the landmarks.csv of `place`, the folder's root or a side of it, if there is one; the root comes first. Throws
// Error(input) if it cannot be read, or gives a photo other points than the root's.
void add_landmarks(PhotoFolder& folder, const fs::path& place);

// Adds the boxes of a facescrub_*.txt. Malformed lines are skipped with one warning.
void add_facescrub(PhotoFolder& folder, const fs::path& path);

}  // namespace facepoison
