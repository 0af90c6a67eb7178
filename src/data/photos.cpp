#include "facepoison/photos.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <set>

#include "facepoison/error.hpp"
#include "facepoison/log.hpp"
#include "facepoison/spec.hpp"
#include "facepoison/table.hpp"

namespace facepoison {
namespace {

bool is_photo(const fs::path& path) {
  static const std::set<std::string> known = {".jpg", ".jpeg", ".png",  ".bmp", ".webp",
                                              ".gif", ".tif",  ".tiff", ".ppm", ".pgm"};
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return known.count(extension) && !path.filename().string().starts_with(".");
}

struct Found {
  std::vector<fs::path> photos, of_tools;
};

// A tool's file is known by its original beside it: without one it is a photo of its own.
Found without_tools_files(const std::vector<fs::path>& files) {
  std::set<std::string> stems;
  for (const auto& file : files) stems.insert(file.stem().string());
  Found found;
  for (const auto& file : files) {
    const auto originals = made_from(file.stem().string());
    const auto is_here = [&](const auto& original) { return stems.count(original.first); };
    const bool of_tool = std::any_of(originals.begin(), originals.end(), is_here);
    (of_tool ? found.of_tools : found.photos).push_back(file);
  }
  return found;
}

Found photos_in(const fs::path& folder, const fs::path& root) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    std::error_code unknown;
    if (!is_photo(entry.path()) || entry.is_directory(unknown)) continue;
    if (is_below(entry.path(), root))
      found.push_back(entry.path());
    else
      log_warning(
          concat(entry.path().string(), " is a link that leaves the photo folder or leads nowhere: passed over"));
  }
  return without_tools_files(found);
}

Box parse_box(const std::string& text, const std::string& where) {
  const auto numbers = parse_csv("a,b,c,d\n" + text, where);
  if (numbers.rows.empty()) throw Error(Exit::input, concat(where, ": no box x1,y1,x2,y2 in \"", text, "\""));
  const auto at = [&](std::size_t i) { return as_number(numbers.rows[0][i], where); };
  return {at(0), at(1), at(2), at(3)};
}

// FaceScrub's lists write names with blanks, its folders with underscores.
std::string underscored(std::string name) {
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
}

void read_landmarks(PhotoFolder& folder) {
  const fs::path path = folder.root / "landmarks.csv";
  folder.has_landmarks = fs::exists(path);
  if (!folder.has_landmarks) return;
  const Table table = read_csv(path);
  if (table.columns.size() != 11 || table.columns[0] != "id")
    throw Error(Exit::input, concat(path.string(), ": expected a header line with id and ten numbers, found ",
                                    table.columns.size(), " columns"));
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    Landmarks points;
    const std::string where = concat(path.string(), ", line ", r + 2);
    for (std::size_t i = 0; i < 5; ++i)
      points[i] = {as_number(table.rows[r][1 + 2 * i], where), as_number(table.rows[r][2 + 2 * i], where)};
    if (!folder.landmarks.emplace(text(table.rows[r][0]), points).second)
      throw Error(Exit::input, concat(where, ": \"", text(table.rows[r][0]), "\" is given twice"));
  }
}

// FaceScrub's lists: name, image_id, face_id, url, bbox, sha256 of the full picture, separated by tabs.
void read_facescrub(PhotoFolder& folder, const fs::path& path) {
  std::istringstream lines(read_file(path));
  std::string line;
  std::getline(lines, line);  // header
  for (std::size_t number = 2; std::getline(lines, line); ++number) {
    std::vector<std::string> cells;
    std::istringstream stream(line);
    for (std::string cell; std::getline(stream, cell, '\t');) cells.push_back(cell);
    if (cells.size() < 6) continue;
    const Box box = parse_box(cells[4], concat(path.string(), ", line ", number));
    const std::string person = underscored(cells[0]), hash = cells[5].substr(0, 64);
    folder.boxes.emplace(person + "/" + sha1(cells[3]), box);
    folder.boxes.emplace(person + "/" + hash, box);
    const auto [any, is_new] = folder.boxes.emplace(hash, box);
    if (!is_new && any->second != box) any->second.reset();  // a picture of two people
  }
}

}  // namespace

std::vector<std::pair<std::string, std::string>> made_from(const std::string& stem) {
  std::vector<std::pair<std::string, std::string>> originals;
  for (const auto& suffix : tool_suffixes)
    if (stem.ends_with(suffix) && stem.size() > suffix.size())
      originals.emplace_back(stem.substr(0, stem.size() - suffix.size()), suffix);
  return originals;
}

std::optional<Box> PhotoFolder::box_of(const PhotoFile& photo, const std::string& sha256) const {
  if (photo.path.parent_path().filename() == "face" && photo.person != "face") return std::nullopt;
  const std::string person = underscored(photo.person) + "/";
  for (const auto& key : {person + sha256, person + photo.path.stem().string(), sha256})
    if (const auto found = boxes.find(key); found != boxes.end()) return found->second;
  return std::nullopt;
}

std::set<std::string> match_people(const std::vector<std::string>& people, const std::vector<std::string>& names) {
  if (names == std::vector<std::string>{"all"}) return {people.begin(), people.end()};
  std::set<std::string> chosen;
  for (const auto& name : names) {
    const auto fits = [&](const std::string& person) {
      return person == name || fnmatch(name.c_str(), person.c_str(), 0) == 0;
    };
    if (std::none_of(people.begin(), people.end(), fits)) {
      const auto near = nearest_name(name, people);
      throw Error(Exit::usage,
                  concat("people: no person \"", name, "\"", near.empty() ? "" : "; did you mean \"" + near + "\"?"));
    }
    std::copy_if(people.begin(), people.end(), std::inserter(chosen, chosen.end()), fits);
  }
  return chosen;
}

PhotoFolder scan_photos(const fs::path& root) {
  if (!fs::is_directory(root))
    throw Error(Exit::input, concat(root.string(), ": ", fs::exists(root) ? "not a folder" : "no such folder"));
  PhotoFolder folder;
  folder.root = fs::canonical(root);
  std::set<fs::path> lists;  // sorted: of one person's boxes in one picture the first stays
  for (const auto& entry : fs::directory_iterator(folder.root)) {
    const auto name = entry.path().filename().string();
    if (name.starts_with("facescrub_") && entry.path().extension() == ".txt") lists.insert(entry.path());
    if (!entry.is_directory() || name.starts_with(".")) {
      if (!entry.is_directory() && is_photo(entry.path()))
        log_warning(concat(entry.path().string(), " is in no person's folder: passed over"));
      continue;
    }
    auto files = photos_in(entry.path() / "face", folder.root);
    if (files.photos.empty()) files = photos_in(entry.path(), folder.root);
    if (files.photos.empty() && is_utf8(name)) folder.empty_people.push_back(name);
    for (auto [paths, list] : {std::pair{&files.photos, &folder.photos}, std::pair{&files.of_tools, &folder.of_tools}})
      for (const auto& path : *paths) {
        const PhotoFile photo{path.lexically_relative(folder.root).generic_string(), name, path};
        (is_utf8(photo.id) ? *list : folder.unnameable).push_back(photo);
      }
  }
  for (const auto& list : lists) read_facescrub(folder, list);
  for (auto* list : {&folder.photos, &folder.of_tools})
    std::sort(list->begin(), list->end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  std::sort(folder.empty_people.begin(), folder.empty_people.end());
  read_landmarks(folder);
  return folder;
}

}  // namespace facepoison
