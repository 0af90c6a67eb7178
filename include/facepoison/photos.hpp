// A folder of photos as people keep them: which files are photos of whom, and what is known of their faces.
#pragma once
#include <map>
#include <optional>
#include <set>

#include "facepoison/detect.hpp"
#include "facepoison/files.hpp"

namespace facepoison {

struct PhotoFile {
  std::string id;      // path below the root, '/'-separated, extension kept
  std::string person;  // the folder's name
  fs::path path;
};

struct PhotoFolder {
  fs::path root;
  std::vector<PhotoFile> photos;             // sorted by the bytes of their ids
  std::vector<std::string> empty_people;     // folders without a photo
  std::vector<PhotoFile> unnameable;         // photos whose id is not UTF-8, which no manifest can hold
  bool has_landmarks = false;                // landmarks.csv was found
  std::map<std::string, Landmarks> landmarks;  // by id; source pixels, after EXIF rotation
  std::map<std::string, Box> boxes;          // FaceScrub's, by the photo's SHA-256 and by "<folder>/<sha1 of the address>"

  std::optional<Box> box_of(const PhotoFile& photo, const std::string& sha256) const;
};

// The people that the names choose: "all", names, or patterns as the shell has them (ann-*). Throws Error(usage) for one that
// fits nobody.
std::set<std::string> match_people(const std::vector<std::string>& people, const std::vector<std::string>& names);

// Layouts: <person>/face/* (FaceScrub's downloader; wins where it holds a photo), else <person>/* (FaceScrub, LFW, any
// ImageFolder). Photos are known by their extension: jpg jpeg png bmp and those that will be refused with a reason
// (webp gif tif tiff ppm pgm). Hidden files are passed over, links that leave the root too. Reads landmarks.csv
// (id, then x and y of five landmarks) and facescrub_*.txt (name, image_id, face_id, url, bbox, sha256; tabs) in the
// root. Boxes are of full pictures, so they are not used below face/. Throws Error(input).
PhotoFolder scan_photos(const fs::path& root);

}  // namespace facepoison
