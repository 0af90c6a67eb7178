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
  std::vector<PhotoFile> photos;               // sorted by the bytes of their ids
  std::vector<std::string> empty_people;       // folders without a photo
  std::vector<PhotoFile> unnameable;           // photos whose id is not UTF-8, which no manifest can hold
  std::vector<PhotoFile> of_tools;             // what perturbing tools left beside the photos, which is no photo
  bool has_landmarks = false;                  // landmarks.csv was found
  std::map<std::string, Landmarks> landmarks;  // by id; source pixels, after EXIF rotation
  // FaceScrub's, by "<person>/<SHA-256>", by "<person>/<SHA-1 of the address>" and, for folders of other names, by the
  // SHA-256 alone; none where that one means faces of two people.
  std::map<std::string, std::optional<Box>> boxes;

  std::optional<Box> box_of(const PhotoFile& photo, const std::string& sha256) const;
};

// What tools append to the stem of a photo that they perturbed: Fawkes in its versions, LowKey, and the small clean
// copy that LowKey's script leaves.
inline const std::vector<std::string> tool_suffixes = {"_low_cloaked", "_mid_cloaked", "_high_cloaked",
                                                       "_cloaked",     "_attacked",    "_small"};

// The stems of the photos that a file of this stem may have been made from, each with its suffix; empty for most.
std::vector<std::pair<std::string, std::string>> made_from(const std::string& stem);

// The people that the names choose: "all", names, or patterns as the shell has them (ann-*). Throws Error(usage) for
// one that fits nobody.
std::set<std::string> match_people(const std::vector<std::string>& people, const std::vector<std::string>& names);

// Layouts: <person>/face/* (FaceScrub's downloader; wins where it holds a photo), else <person>/* (FaceScrub, LFW, any
// ImageFolder). Photos are known by their extension: jpg jpeg png bmp and those that will be refused with a reason
// (webp gif tif tiff ppm pgm). Hidden files are passed over, links that leave the root too; a file that has a tool's
// suffix and lies beside its original is one of of_tools. Reads landmarks.csv
// (id, then x and y of five landmarks) and facescrub_*.txt (name, image_id, face_id, url, bbox, sha256; tabs) in the
// root. Boxes are of full pictures, so they are not used below face/. Throws Error(input).
PhotoFolder scan_photos(const fs::path& root);

}  // namespace facepoison
