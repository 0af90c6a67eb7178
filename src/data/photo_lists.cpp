#include "data/photo_lists.hpp"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "facepoison/digests.hpp"
#include "facepoison/error.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/log.hpp"
#include "facepoison/table.hpp"
#include "facepoison/unicode.hpp"

namespace facepoison {
namespace {

double place_in_picture(const Cell& cell, const std::string& where) {
  const double number = as_number(cell, where);
  if (!(std::abs(number) <= farthest_place))
    throw Error(Exit::input, concat(where, ": \"", text(cell), "\" is not a place in a picture"));
  return number;
}

// Reads a box, "x1,y1,x2,y2".
Box parse_box(const std::string& text) {
  const auto numbers = parse_csv("a,b,c,d\n" + text, "a box");
  if (numbers.rows.size() != 1) throw Error(Exit::input, concat("expected a box x1,y1,x2,y2, found \"", text, "\""));
  return {place_in_picture(numbers.rows[0][0], "a box"), place_in_picture(numbers.rows[0][1], "a box"),
          place_in_picture(numbers.rows[0][2], "a box"), place_in_picture(numbers.rows[0][3], "a box")};
}

// FaceScrub's lists have spaces in names, its folders underscores, and macOS separates letters and accents.
std::string underscored(const std::string& name) {
  std::string out = decomposed(name);
  std::replace(out.begin(), out.end(), ' ', '_');
  return out;
}

using LandmarksById = std::map<std::string, Landmarks>;

// `below`: a prefix for ids.
LandmarksById read_landmarks(const fs::path& path, const std::string& below) {
  const Table table = read_csv(path);
  const auto refuse = [&](const std::string& found) {
    throw Error(Exit::input, concat(path.string(), ": found a header line ", found,
                                    ", expected 11 columns: id, then x and y of five landmarks"));
  };
  if (table.columns.size() != 11) refuse(concat("of ", table.columns.size(), " columns"));
  if (table.columns[0] != "id") refuse(concat("that begins with \"", table.columns[0], "\""));
  LandmarksById found;
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    stop_if_interrupted();
    Landmarks points;
    const std::string where = concat(path.string(), ", line ", r + 2);
    for (std::size_t i = 0; i < 5; ++i)
      points[i] = {place_in_picture(table.rows[r][1 + 2 * i], where),
                   place_in_picture(table.rows[r][2 + 2 * i], where)};
    if (!found.emplace(below + text(table.rows[r][0]), points).second)
      throw Error(Exit::input, concat(where, ": \"", text(table.rows[r][0]), "\" is given twice"));
  }
  return found;
}

// Looks an id up as written, else with separate accents.
LandmarksById::const_iterator look_up(const LandmarksById& known, const std::string& id) {
  const auto found = known.find(id);
  return found != known.end() ? found : known.find(decomposed(id));
}

// One line of FaceScrub's lists: name, image_id, face_id, url, bbox, sha256 of the full picture, separated by tabs.
void read_facescrub_line(PhotoFolder& folder, const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream stream(line);
  for (std::string cell; std::getline(stream, cell, '\t');) cells.push_back(cell);
  if (cells.size() < 6) throw Error(Exit::input, concat(cells.size(), " columns; expected six"));
  const Box box = parse_box(cells[4]);
  const std::string person = underscored(cells[0]), hash = lower_case(cells[5].substr(0, 64));
  folder.boxes.emplace(person + "/" + sha1(cells[3]), box);
  folder.boxes.emplace(person + "/" + hash, box);
  const auto [any, is_new] = folder.boxes.emplace(hash, box);
  if (!is_new && any->second != box) any->second.reset();  // a picture of two people
}

}  // namespace

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

void add_landmarks(PhotoFolder& folder, const fs::path& place) {
  const fs::path path = place / "landmarks.csv";
  std::error_code unknown;
  if (!fs::is_regular_file(path, unknown)) {
    if (fs::exists(fs::symlink_status(path, unknown)))
      throw Error(Exit::input, concat(path.string(), ": not a regular file, or a broken link"));
    return;
  }
  folder.has_landmarks = true;
  const auto added = read_landmarks(path, place == folder.root ? "" : place.filename().string() + "/");
  for (const auto& [id, points] : added)
    if (const auto known = look_up(folder.landmarks, id); known != folder.landmarks.end() && known->second != points)
      throw Error(Exit::input, concat(path.string(), " and ", (folder.root / "landmarks.csv").string(),
                                      " give different points for ", id));
  folder.landmarks.insert(added.begin(), added.end());
  for (const auto& [id, points] : added) folder.landmarks.emplace(decomposed(id), points);
}

void add_facescrub(PhotoFolder& folder, const fs::path& path) {
  std::istringstream lines(read_file(path));
  std::string line, first;
  std::size_t odd = 0;
  for (std::size_t number = 1; std::getline(lines, line); ++number) {
    stop_if_interrupted();
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    try {
      read_facescrub_line(folder, line);
    } catch (const Error& error) {
      if (number > 1 && odd++ == 0) first = concat("line ", number, ": ", error.what());
    }
  }
  if (odd > 0) log_warning(concat(path.string(), ": ", odd, " malformed lines are skipped; the first: ", first));
}

std::optional<Box> PhotoFolder::box_of(const PhotoFile& photo, const std::string& sha256) const {
  if (photo.path.parent_path().filename() == "face" && photo.person != "face") return std::nullopt;
  const std::string person = underscored(photo.person) + "/";
  for (const auto& key : {person + sha256, person + lower_case(photo.path.stem().string()), sha256})
    if (const auto found = boxes.find(key); found != boxes.end()) return found->second;
  return std::nullopt;
}

std::optional<Landmarks> PhotoFolder::landmarks_of(const PhotoFile& photo) const {
  const auto found = look_up(landmarks, photo.id);
  return found != landmarks.end() ? std::optional(found->second) : std::nullopt;
}

}  // namespace facepoison
