// The lists that lie beside photos: landmarks.csv, and FaceScrub's boxes. See scan_photos().
#pragma once
#include "facepoison/photos.hpp"

namespace facepoison {

std::string lower_case(std::string text);  // ASCII's letters

// Adds the landmarks.csv of `place`, the folder's root or a side of it, where there is one; the root's come first.
// Throws Error(input) for one that cannot be read, or that gives a photo other points than the root's.
void add_landmarks(PhotoFolder& folder, const fs::path& place);

// Adds the boxes of a facescrub_*.txt. Odd lines are passed over, with one warning.
void add_facescrub(PhotoFolder& folder, const fs::path& path);

}  // namespace facepoison
