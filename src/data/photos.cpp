#include "facepoison/photos.hpp"

#include <fcntl.h>
#include <fnmatch.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

#include "data/photo_lists.hpp"
#include "facepoison/error.hpp"
#include "facepoison/image.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/log.hpp"
#include "facepoison/spec.hpp"
#include "facepoison/unicode.hpp"

namespace facepoison {
namespace {

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with("."); }

std::string first_bytes_of(const fs::path& path) {
  std::string bytes(64, '\0');
  std::ifstream in(path, std::ios::binary);
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(in.gcount()));
  return bytes;
}

// Whether a regular file is a picture, by its content or its name: so an empty file or a web page named as a photo is
// reported.
bool is_photo(const fs::path& path) {
  static const std::set<std::string> known = {".jpg",  ".jpeg", ".jpe",  ".jfif", ".png", ".bmp",
                                              ".webp", ".gif",  ".tif",  ".tiff", ".ppm", ".pgm",
                                              ".heic", ".heif", ".avif", ".jp2",  ".jxl"};
  return known.count(lower_case(path.extension().string())) || !picture_format(first_bytes_of(path)).empty();
}

constexpr std::size_t longest_name = 255 - 4;  // bytes; a canvas has its photo's name and .png

// Why `path` cannot be a photo, or "".
std::string obstacle(const fs::path& path, const fs::path& root) {
  std::error_code error;
  const bool link = fs::is_symlink(path, error);
  const auto status = fs::status(path, error);
  if (!fs::exists(status)) return link ? "a link that leads nowhere" : error.message();
  if (link && !is_below(path, root)) return "a link that leaves the photo folder";
  if (link && fs::is_directory(status)) return "a link to a folder, which is not followed";
  if (!fs::is_regular_file(status)) return "not a regular file";
  if (faccessat(AT_FDCWD, path.c_str(), R_OK, AT_EACCESS) != 0) return std::strerror(errno);
  const auto length = path.filename().string().size();
  return length > longest_name ? concat("its name has ", length, " bytes; at most ", longest_name, " can be used") : "";
}

// The entries of a folder, in the order of names. Throws Error(input) with the reason.
std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (!is_hidden(at->path())) entries.push_back(at->path());
  if (error) throw Error(Exit::input, error.message());
  std::sort(entries.begin(), entries.end());
  return entries;
}

bool is_folder(const fs::path& path) {
  std::error_code unknown;
  return fs::is_directory(fs::symlink_status(path, unknown));
}

struct Found {
  std::vector<fs::path> photos, of_tools;
  std::vector<std::pair<fs::path, std::string>> rejected;
};

// Separates tools' files, which have their original beside them; other files are photos.
Found without_tools_files(const std::vector<fs::path>& files) {
  std::set<std::string> stems;
  for (const auto& file : files) stems.insert(decomposed(file.stem().string()));
  Found found;
  for (const auto& file : files) {
    const auto originals = made_from(decomposed(file.stem().string()));
    const auto is_here = [&](const auto& original) { return stems.count(original.first); };
    const bool of_tool = std::any_of(originals.begin(), originals.end(), is_here);
    (of_tool ? found.of_tools : found.photos).push_back(file);
  }
  return found;
}

void add_pictures(const fs::path& folder, const fs::path& root, Pictures& found) try {
  for (const auto& path : entries_of(folder)) {
    stop_if_interrupted();
    if (is_folder(path)) {
      add_pictures(path, root, found);
      continue;
    }
    const auto reason = obstacle(path, root);
    if (!reason.empty())
      found.rejected.emplace_back(path, reason);
    else if (is_photo(path))
      found.usable.push_back(path);
  }
} catch (const Error& error) {
  stop_if_interrupted();  // not an error of the folder
  found.rejected.emplace_back(folder / "", error.what());
}

// A folder's own photos; other pictures in it and in the folders below it are rejected.
Found photos_in(const fs::path& folder, const fs::path& root) {
  Pictures pictures;
  add_pictures(folder, root, pictures);
  std::vector<fs::path> own;
  for (const auto& path : pictures.usable) {
    if (path.parent_path() == folder)
      own.push_back(path);
    else
      pictures.rejected.emplace_back(path, "in a sub-folder; a person's photos lie in the person's folder");
  }
  auto found = without_tools_files(own);
  found.rejected = std::move(pictures.rejected);
  return found;
}

// A person's photos: those of face/ if it has any; the others are then counted.
Found photos_of_person(const fs::path& person, const fs::path& root, std::size_t& originals) {
  std::error_code unknown;
  if (!fs::exists(person, unknown) || !is_below(person, root)) return {{}, {}, {{person / "", obstacle(person, root)}}};
  auto all = photos_in(person, root);
  if (!fs::is_directory(person / "face", unknown) || !is_below(person / "face", root)) return all;
  auto faces = photos_in(person / "face", root);
  if (faces.photos.empty()) return all;
  originals += all.photos.size() + all.of_tools.size();
  const auto inside = person / "face" / "";
  for (const auto& [path, reason] : all.rejected) originals += !(path / "").native().starts_with(inside.native());
  return faces;
}

std::vector<fs::path> root_entries(const fs::path& root) {
  try {
    return entries_of(root);
  } catch (const Error& error) {
    throw Error(Exit::input, concat(root.string(), ": ", error.what()));
  }
}

// The side of photos below a folder of this name, if a tree is split already; none for another name.
Split side_of(const std::string& name) {
  static const std::set<std::string> tests = {"val", "valid", "validation", "test"};
  const auto lower = lower_case(name);
  return lower == "train" ? Split::train : tests.count(lower) ? Split::test : Split::none;
}

// Whether the folder has people's folders (not face/) and no photos of its own.
bool holds_people(const fs::path& folder) try {
  bool people = false;
  for (const auto& path : entries_of(folder)) {
    if (!is_folder(path) && obstacle(path, folder).empty() && is_photo(path)) return false;
    people = people || (is_folder(path) && path.filename() != "face");
  }
  return people;
} catch (const Error&) {
  return false;  // it cannot be read
}

bool is_split(const fs::path& root) {
  std::set<Split> sides;
  for (const auto& path : root_entries(root))
    if (const auto side = side_of(path.filename().string());
        side != Split::none && is_folder(path) && holds_people(path))
      sides.insert(side);
  return sides.size() == 2;
}

void add_person(PhotoFolder& folder, const fs::path& person, Split split) {
  const auto name = person.filename().string();
  const auto found = photos_of_person(person, folder.root, folder.originals);
  const auto id_of = [&](const fs::path& path) { return path.lexically_relative(folder.root).generic_string(); };
  const auto reject = [&](const fs::path& path, const std::string& reason) {
    folder.rejected.push_back({id_of(path), name, reason});
    if (path.filename().empty()) log_warning(concat(folder.rejected.back().id, ": ", reason));  // a whole folder
  };
  for (const auto& [paths, list] :
       {std::pair{&found.photos, &folder.photos}, std::pair{&found.of_tools, &folder.of_tools}})
    for (const auto& path : *paths) {
      const PhotoFile photo{id_of(path), name, path, split};
      if (is_utf8(photo.id))
        list->push_back(photo);
      else
        reject(path, "its name is not UTF-8");
    }
  for (const auto& [path, reason] : found.rejected) reject(path, reason);
  const bool nothing = found.photos.empty() && found.of_tools.empty() && found.rejected.empty();
  if (!nothing || !is_utf8(name)) return;
  if (split == Split::none)
    folder.empty_people.push_back(name);
  else
    reject(person / "", "no photos in this folder");
}

// Calls `add` for each folder in `place`, the root or a side of it. Reads lists; reports files outside of people's
// folders.
template <class Add>
void look_through(PhotoFolder& folder, const fs::path& place, const Add& add) {
  std::error_code unknown;
  for (const auto& path : root_entries(place)) {
    stop_if_interrupted();
    const auto name = path.filename().string();
    if (name == "landmarks.csv") continue;
    if (fs::is_directory(path, unknown) || (fs::is_symlink(path, unknown) && !fs::exists(path, unknown)))
      add(path);
    else if (name.starts_with("facescrub_") && path.extension() == ".txt" && fs::is_regular_file(path, unknown))
      add_facescrub(folder, path);  // names are sorted: of a person's boxes in one picture the first stays
    else if (const auto reason = obstacle(path, folder.root); !reason.empty())
      log_warning(concat(path.string(), ": ", reason));
    else if (is_photo(path))
      log_warning(concat(path.string(), " is not in a person's folder: skipped"));
  }
}

// Scans a split folder, <side>/<person>/…, as torchvision's ImageFolder and many downloads have it.
void add_sides(PhotoFolder& folder) {
  look_through(folder, folder.root, [&](const fs::path& side) {
    const auto split = side_of(side.filename().string());
    if (split == Split::none || !is_folder(side))
      return log_warning(concat(side.string(), " is not train, val or test: skipped"));
    add_landmarks(folder, side);
    look_through(folder, side, [&](const fs::path& person) { add_person(folder, person, split); });
  });
  log_info(
      concat(folder.root.string(), " is split already: photos below train are train photos, the rest test photos"));
}

// Notes the attacks on photos that are canvases of a data set in the folder above.
void note_perturbed(PhotoFolder& folder) try {
  const fs::path above = folder.root.parent_path(), manifest = above / "manifest.jsonl";
  std::error_code unknown;
  if (!fs::is_regular_file(manifest, unknown)) return;
  std::map<fs::path, std::string> attacks;
  std::istringstream lines(read_file(manifest));
  for (std::string line; std::getline(lines, line);) {
    const Json photo = parse_json(line, manifest.string());
    if (!photo.is_object() || !photo.contains("perturbed_by")) continue;
    Spec row(photo, manifest.string());
    attacks[(above / row.text("path")).lexically_normal()] = row.text("perturbed_by");
  }
  for (auto& photo : folder.photos)
    if (const auto found = attacks.find(photo.path); found != attacks.end()) photo.perturbed_by = found->second;
} catch (const Error&) {  // not our manifest
}

// The longest person's name that two or more names from `first` on make when joined by commas, and the place of the
// next name; "" for none.
using NameIterator = std::vector<std::string>::const_iterator;
std::pair<std::string, NameIterator> name_with_commas(const std::vector<std::string>& people, NameIterator first,
                                                      NameIterator end) {
  std::ptrdiff_t most = 0;
  for (const auto& person : people) most = std::max(most, std::count(person.begin(), person.end(), ','));
  for (auto parts = std::min(most + 1, end - first); parts > 1; --parts) {
    std::string joined = *first;
    for (auto next = first + 1; next != first + parts; ++next) joined += "," + *next;
    if (const auto person = person_named(joined, people)) return {*person, first + parts};
  }
  return {"", first};
}

constexpr auto by_id = [](const auto& a, const auto& b) { return a.id < b.id; };

}  // namespace

std::vector<std::pair<std::string, std::string>> made_from(const std::string& stem) {
  std::vector<std::pair<std::string, std::string>> originals;
  for (const auto& suffix : tool_suffixes)
    if (stem.ends_with(suffix) && stem.size() > suffix.size())
      originals.emplace_back(stem.substr(0, stem.size() - suffix.size()), suffix);
  return originals;
}

Pictures pictures_below(const fs::path& root) {
  Pictures found;
  add_pictures(root, root, found);
  return found;
}

void require_clean(const fs::path& where, const std::string& perturbed_note, bool allowed) {
  if (perturbed_note.empty()) return;
  if (!allowed)
    throw Error(Exit::input, concat(where.string(), ": ", perturbed_note,
                                    "; expected clean ones (--allow-perturbed accepts them as clean)"));
  log_warning(concat(where.string(), ": ", perturbed_note, "; they are used as clean ones"));
}

std::optional<std::string> person_named(const std::string& name, const std::vector<std::string>& people) {
  auto found = std::find(people.begin(), people.end(), name);  // two names may differ only in this
  if (found == people.end())
    found = std::find_if(people.begin(), people.end(),
                         [wanted = decomposed(name)](const auto& person) { return decomposed(person) == wanted; });
  return found == people.end() ? std::nullopt : std::optional(*found);
}

std::set<std::string> match_people(const std::vector<std::string>& people, const std::vector<std::string>& names) {
  if (names == std::vector<std::string>{"all"}) return {people.begin(), people.end()};
  std::set<std::string> chosen;
  for (auto name = names.begin(); name != names.end();) {
    const auto [person, end] = name_with_commas(people, name, names.end());
    if (!person.empty()) {
      chosen.insert(person);
      name = end;
      continue;
    }
    const auto wanted = decomposed(*name);
    const auto fits = [&](const std::string& one) {
      const auto known = decomposed(one);
      return known == wanted || fnmatch(wanted.c_str(), known.c_str(), 0) == 0;
    };
    if (std::none_of(people.begin(), people.end(), fits)) {
      const auto near = nearest_name(*name, people);
      throw Error(Exit::usage,
                  concat("people: no person \"", *name, "\"", near.empty() ? "" : "; did you mean \"" + near + "\"?",
                         names.size() > 1 ? " (in --people a comma separates names)" : ""));
    }
    std::copy_if(people.begin(), people.end(), std::inserter(chosen, chosen.end()), fits);
    ++name;
  }
  return chosen;
}

PhotoFolder scan_photos(const fs::path& root) try {
  if (!fs::is_directory(root))
    throw Error(Exit::input, concat(root.string(), ": ", fs::exists(root) ? "not a folder" : "no such folder"));
  PhotoFolder folder;
  folder.root = fs::canonical(root);
  add_landmarks(folder, folder.root);
  if (is_split(folder.root))
    add_sides(folder);
  else
    look_through(folder, folder.root, [&](const fs::path& person) { add_person(folder, person, Split::none); });
  for (auto* list : {&folder.photos, &folder.of_tools}) std::sort(list->begin(), list->end(), by_id);
  std::sort(folder.rejected.begin(), folder.rejected.end(), by_id);
  note_perturbed(folder);
  if (folder.originals > 0)
    log_info(concat(folder.originals, " photos beside face/ folders are not used: the photos in face/ are"));
  return folder;
} catch (const fs::filesystem_error& error) {
  throw Error(Exit::input, concat(root.string(), ": ", error.code().message()));
}

PhotoFolder scan_album(const fs::path& album, const std::string& person) try {
  if (!fs::is_directory(album))
    throw Error(Exit::input, concat(album.string(), ": ", fs::exists(album) ? "not a folder" : "no such folder"));
  const fs::path root = fs::canonical(album);
  PhotoFolder above;
  above.root = root.parent_path();
  add_landmarks(above, above.root);
  add_person(above, root, Split::none);
  PhotoFolder folder;
  folder.root = root;
  folder.has_landmarks = above.has_landmarks;
  const auto prefix = root.filename().string() + "/";
  const auto renamed = [&](const std::string& id) { return concat(person, "/", id.substr(prefix.size())); };
  for (auto* list : {&above.photos, &above.of_tools})
    for (auto& photo : *list) photo.id = renamed(photo.id), photo.person = person;
  for (auto& file : above.rejected) file.id = renamed(file.id), file.person = person;
  for (const auto& [id, points] : above.landmarks)
    if (id.starts_with(prefix)) folder.landmarks.emplace(renamed(id), points);
  folder.photos = std::move(above.photos);
  folder.of_tools = std::move(above.of_tools);
  folder.rejected = std::move(above.rejected);
  std::sort(folder.photos.begin(), folder.photos.end(), by_id);
  return folder;
} catch (const fs::filesystem_error& error) {
  throw Error(Exit::input, concat(album.string(), ": ", error.code().message()));
}

}  // namespace facepoison
