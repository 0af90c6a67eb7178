// A folder of people's photos: which file shows which person, and what is known of the faces.
#pragma once
#include <map>
#include <optional>
#include <set>

#include "facepoison/detect.hpp"
#include "facepoison/error.hpp"
#include "facepoison/files.hpp"
#include "facepoison/spec.hpp"
#include "facepoison/splits.hpp"

namespace facepoison {

struct PhotoFile {
  std::string id;      // path below the root, '/'-separated, extension kept
  std::string person;  // the folder's name
  fs::path path;
  Split split = Split::none;      // as in the folder, if it is split already
  std::string perturbed_by = "";  // as in Photo, for a canvas of a data set; else ""
};

struct RejectedFile {
  std::string id;  // "<person>/" for a person's whole folder
  std::string person;
  std::string reason;
};

struct PhotoFolder {
  fs::path root;
  std::vector<PhotoFile> photos;               // sorted by the bytes of their ids
  std::vector<std::string> empty_people;       // folders with neither a photo nor anything rejected
  std::vector<RejectedFile> rejected;          // what cannot be used, sorted likewise
  std::size_t originals = 0;                   // photos beside a face/ folder, which is used
  std::vector<PhotoFile> of_tools;             // what perturbing tools left beside the photos
  bool has_landmarks = false;                  // a landmarks.csv was found
  std::map<std::string, Landmarks> landmarks;  // by id; source pixels, after EXIF rotation
  // FaceScrub's, by "<person>/<SHA-256>", by "<person>/<SHA-1 of the address>" and, for folders with other names, by
  // the SHA-256 alone; none if that stands for faces of two people.
  std::map<std::string, std::optional<Box>> boxes;

  // Both find a name in either Unicode form of accents.
  std::optional<Landmarks> landmarks_of(const PhotoFile& photo) const;
  std::optional<Box> box_of(const PhotoFile& photo, const std::string& sha256) const;
};

// Suffixes that tools append to the stem of a perturbed photo: Fawkes in its versions, LowKey, and LowKey's small clean
// copy.
inline const std::vector<std::string> tool_suffixes = {"_low_cloaked", "_mid_cloaked", "_high_cloaked",
                                                       "_cloaked",     "_attacked",    "_small"};

// The stems of the possible originals of a file with this stem, each with its suffix; mostly empty.
std::vector<std::pair<std::string, std::string>> made_from(const std::string& stem);

// The pictures of a folder and of all folders below it, by scan_photos()'s rules, in the order of their names;
// `rejected` has those that cannot be used, with reasons, and "<folder>/" if one cannot be read. `root` is canonical.
struct Pictures {
  std::vector<fs::path> usable;
  std::vector<std::pair<fs::path, std::string>> rejected;
};
Pictures pictures_below(const fs::path& root);

// "36 of 160 photos are perturbed, by pgd-small", of rows with a `perturbed_by`; "" where none is.
template <class Photos>
std::string perturbed_note(const Photos& photos) {
  std::size_t count = 0;
  std::set<std::string> attacks;
  for (const auto& photo : photos)
    if (!photo.perturbed_by.empty()) ++count, attacks.insert(photo.perturbed_by);
  if (count == 0) return "";
  return concat(count, " of ", photos.size(), " photos are perturbed, by ",
                listed({attacks.begin(), attacks.end()}, 5));
}

// Call it where clean photos are expected. Throws Error(input) if there is a note of perturbed ones; only warns if they
// are `allowed`.
void require_clean(const fs::path& where, const std::string& perturbed_note, bool allowed);

// The person with this name, in either Unicode form of accents (é as one character, or as e and an accent, as on
// macOS); or none.
std::optional<std::string> person_named(const std::string& name, const std::vector<std::string>& people);

// The people that the names select: "all", names, or shell patterns (ann-*), in either form of accents. Options are
// split at commas: consecutive names that make a person's name when joined by a comma are one. Throws Error(usage) for
// a name that matches nobody.
std::set<std::string> match_people(const std::vector<std::string>& people, const std::vector<std::string>& names);

// Scans a folder. Layouts: <person>/face/* (FaceScrub's downloader; used if it has a photo), else <person>/*
// (FaceScrub, LFW, any ImageFolder); or these below train/ and below one of val/, valid/, validation/ and test/, if
// both have sub-folders and no photos of their own: then the folder is split already, and other folders are skipped
// with a warning. Photos are recognised by their extension or their first bytes, also those of formats that are refused
// later with a reason. Hidden files are skipped. A file with a tool's suffix beside its original is one of of_tools.
// Rejected are pictures in other sub-folders, links that leave the root or are broken, files that are not regular or
// cannot be read, and names that no canvas can have (not UTF-8, more than 251 bytes). Reads landmarks.csv (id, then x
// and y of five landmarks) and facescrub_*.txt (name, image_id, face_id, url, bbox, sha256; tabs; malformed lines are
// skipped with a warning) in the root and, in a split folder, in each of its sides, where landmarks' ids are relative
// to the side. Boxes are for full pictures, so they are not used below face/. Throws Error(input) if the root or a
// landmarks.csv cannot be read, or if two of these give a photo different points.
PhotoFolder scan_photos(const fs::path& root);

// The same for a folder with photos of one person, under any name: their person is `person`, and their ids begin with
// it. Landmarks are read from the folder above, as for photo folders.
PhotoFolder scan_album(const fs::path& album, const std::string& person);

}  // namespace facepoison
