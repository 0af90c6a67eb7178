// A folder of photos as people keep them: which files are photos of whom, and what is known of their faces.
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
  Split split = Split::none;      // as the folder has it, where it is split already
  std::string perturbed_by = "";  // as a Photo's, where it is a canvas of a data set; else ""
};

struct RejectedFile {
  std::string id;  // "<person>/" where it is the person's whole folder
  std::string person;
  std::string reason;
};

struct PhotoFolder {
  fs::path root;
  std::vector<PhotoFile> photos;               // sorted by the bytes of their ids
  std::vector<std::string> empty_people;       // folders with neither a photo nor anything rejected
  std::vector<RejectedFile> rejected;          // what cannot be used, sorted likewise
  std::size_t originals = 0;                   // photos that lie beside a face/ folder, which wins
  std::vector<PhotoFile> of_tools;             // what perturbing tools left beside the photos
  bool has_landmarks = false;                  // a landmarks.csv was found
  std::map<std::string, Landmarks> landmarks;  // by id; source pixels, after EXIF rotation
  // FaceScrub's, by "<person>/<SHA-256>", by "<person>/<SHA-1 of the address>" and, for folders of other names, by the
  // SHA-256 alone; none where that one means faces of two people.
  std::map<std::string, std::optional<Box>> boxes;

  // Both find a name whichever way its accents are written.
  std::optional<Landmarks> landmarks_of(const PhotoFile& photo) const;
  std::optional<Box> box_of(const PhotoFile& photo, const std::string& sha256) const;
};

// What tools append to the stem of a photo that they perturbed: Fawkes in its versions, LowKey, and the small clean
// copy that LowKey's script leaves.
inline const std::vector<std::string> tool_suffixes = {"_low_cloaked", "_mid_cloaked", "_high_cloaked",
                                                       "_cloaked",     "_attacked",    "_small"};

// The stems of the photos that a file of this stem may have been made from, each with its suffix; empty for most.
std::vector<std::pair<std::string, std::string>> made_from(const std::string& stem);

// The pictures of a folder and of all folders below it, by scan_photos()'s rules, in the order of their names;
// `rejected` has those that cannot be used, with why, and "<folder>/" for one that cannot be read. `root` is canonical.
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

// For where clean photos are expected. Throws Error(input) for a note of perturbed ones, unless they are `allowed`:
// then it is a warning.
void require_clean(const fs::path& where, const std::string& perturbed_note, bool allowed);

// The one of the people who is called so, accents written either way (José as one letter or with an accent of its own,
// as macOS has it), or none.
std::optional<std::string> person_named(const std::string& name, const std::vector<std::string>& people);

// The people that the names choose: "all", names, or patterns as the shell has them (ann-*), accents written either
// way. Consecutive names are one where somebody is called so, joined by a comma: that is where an option is split.
// Throws Error(usage) for one that fits nobody.
std::set<std::string> match_people(const std::vector<std::string>& people, const std::vector<std::string>& names);

// Layouts: <person>/face/* (FaceScrub's downloader; wins where it holds a photo), else <person>/* (FaceScrub, LFW, any
// ImageFolder); or these below train/ and below one of val/, valid/, validation/ and test/, where both have sub-folders
// and no photos of their own: then the folder is split already, and other folders are passed over with a warning.
// Photos are known by their extension or by their first bytes, also those of formats that will be refused with a
// reason. Hidden files are passed over. A file that has a tool's suffix and lies beside its original is one of
// of_tools. Rejected are pictures in other sub-folders, links that leave the root or lead nowhere, what is not a
// regular file or cannot be read, and names that no canvas can have (not UTF-8, more than 251 bytes). Reads
// landmarks.csv (id, then x and y of five landmarks) and facescrub_*.txt (name, image_id, face_id, url, bbox, sha256;
// tabs; an odd line is passed over, with a warning) in the root and, of a split folder, in each of its sides, where
// landmarks' ids are from the side. Boxes are of full pictures, so they are not used below face/. Throws Error(input)
// where the root or a landmarks.csv cannot be read, or where two of these give a photo different points.
PhotoFolder scan_photos(const fs::path& root);

// The same of a folder that has the photos of one person, whatever it is called: photos are of `person`, and their ids
// begin so. Landmarks are read from the folder above, where photo folders have them.
PhotoFolder scan_album(const fs::path& album, const std::string& person);

}  // namespace facepoison
