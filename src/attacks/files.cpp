// Perturbed photos that a researcher holds already, from any tool: a folder of files, each paired with a photo of the data set by its
// person's folder and its stem, and aligned as the clean photo was. Nothing is optimised here; the audit is that of every attack.
#include <algorithm>
#include <map>
#include <set>

#include "attacks/registry.hpp"
#include "facepoison/detect.hpp"
#include "facepoison/log.hpp"
#include "facepoison/prepare.hpp"

namespace facepoison {
namespace {

struct Parameters {
  fs::path folder;
  std::string suffix;  // "": any
  bool keep_missing, redetect, of_canvas;
};

// What the tools append to a photo's stem: Fawkes in its versions, LowKey's result, and the small clean copy that LowKey's script leaves.
const std::vector<std::string> suffixes = {"_low_cloaked", "_mid_cloaked", "_high_cloaked", "_cloaked", "_attacked", "_small"};

struct File {
  fs::path path;
  std::string person, stem, suffix;  // the first folder below the root ("": none); the stem without the suffix
};

File parse(const fs::path& path, const fs::path& root) {
  const auto below = path.lexically_relative(root);
  File file{path, std::next(below.begin()) == below.end() ? "" : below.begin()->string(), path.stem().string(), ""};
  for (const auto& suffix : suffixes) {
    if (!file.stem.ends_with(suffix) || file.stem.size() == suffix.size()) continue;
    file.stem.resize(file.stem.size() - suffix.size());
    file.suffix = suffix;
    break;
  }
  return file;
}

std::vector<File> scan(const fs::path& root, const std::string& suffix) {
  std::vector<File> files;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    auto extension = entry.path().extension().string();
    std::transform(extension.begin(), extension.end(), extension.begin(), [](unsigned char c) { return std::tolower(c); });
    if (!entry.is_regular_file() || (extension != ".png" && extension != ".jpg" && extension != ".jpeg" && extension != ".bmp")) continue;
    files.push_back(parse(entry.path(), root));
    if (!suffix.empty() && files.back().suffix != suffix) files.pop_back();
  }
  std::sort(files.begin(), files.end(), [](const File& a, const File& b) { return a.path < b.path; });
  return files;
}

std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t most = 20;
  std::string list;
  for (std::size_t i = 0; i < std::min(names.size(), most); ++i) list += (i ? ", " : "") + names[i];
  return names.size() > most ? concat(list, " and ", names.size() - most, " more") : list;
}

// A tool may have changed the picture's size; then the landmarks move along.
Landmarks scaled(Landmarks landmarks, double x, double y) {
  for (auto& p : landmarks) p = {(p.x + 0.5) * x - 0.5, (p.y + 0.5) * y - 0.5};
  return landmarks;
}

class Files final : public Attack {
 public:
  Files(AttackSettings settings, Parameters parameters) : Attack(std::move(settings)), p_(std::move(parameters)) {
    if (p_.redetect) detector_ = std::make_unique<FaceDetector>();
  }

  bool wants_companions() const override { return true; }

  std::vector<Photo> companions(std::span<const Photo> album, std::span<const Photo> everybody, Seed, const Embed&, ArtifactStore& store) const override {
    std::map<std::pair<std::string, std::string>, std::vector<const File*>> by_name;
    const auto files = scan(p_.folder, p_.suffix);
    for (const auto& file : files) by_name[{file.person, file.stem}].push_back(&file);
    warn_of_left_over(files, everybody);
    std::vector<Photo> found;
    std::vector<std::string> missing;
    const int side = decode_image(read_file(album.front().path), Exif::ignore).width;
    for (const auto& photo : album) {
      const File* file = only_file(photo, by_name);
      found.push_back(file ? aligned(photo, *file, side, store) : photo);
      if (file) continue;
      found.back().id.clear();
      missing.push_back(photo.id);
    }
    if (missing.empty()) return found;
    const auto what = concat(settings().name, ": ", missing.size(), " of ", album.size(), " photos have no file in ", p_.folder.string(), ": ", listed(missing));
    if (!p_.keep_missing) throw Error(Exit::input, what + "; \"missing\": \"keep\" leaves them clean");
    log_warning(what + "; they stay clean");
    return found;
  }

 private:
  using ByName = std::map<std::pair<std::string, std::string>, std::vector<const File*>>;

  // In the person's folder, or in a folder without people.
  const File* only_file(const Photo& photo, const ByName& by_name) const {
    const auto stem = (p_.of_canvas ? photo.path : fs::path(photo.source)).stem().string();
    for (const auto& person : {photo.person, std::string()}) {
      const auto found = by_name.find({person, stem});
      if (found == by_name.end()) continue;
      if (found->second.size() == 1) return found->second.front();
      std::vector<std::string> names;
      for (const auto* file : found->second) names.push_back(file->path.filename().string());
      throw Error(Exit::input, concat(settings().name, ": ", names.size(), " files for photo ", photo.id, ": ", listed(names), "; \"suffix\" says which"));
    }
    return nullptr;
  }

  void warn_of_left_over(const std::vector<File>& files, std::span<const Photo> everybody) const {
    std::set<std::string> stems;
    for (const auto& photo : everybody) stems.insert((p_.of_canvas ? photo.path : fs::path(photo.source)).stem().string());
    std::vector<std::string> left_over;
    for (const auto& file : files)
      if (!stems.count(file.stem)) left_over.push_back(file.path.lexically_relative(p_.folder).string());
    if (!left_over.empty()) log_warning(concat(settings().name, ": ", left_over.size(), " files of no photo: ", listed(left_over)));
  }

  Photo aligned(const Photo& photo, const File& file, int side, ArtifactStore& store) const {
    const std::string bytes = read_file(file.path);
    Json key = {{"format", 1}, {"file", sha256(bytes)}, {"side", side}, {"of_canvas", p_.of_canvas}, {"detector", detector_ ? detector_->sha256() : ""}, {"landmarks", nullptr}};
    if (photo.landmarks && photo.source_landmarks && !p_.of_canvas) {
      key["landmarks"] = {photo.source_width, photo.source_height};
      for (const auto* points : {&*photo.source_landmarks, &*photo.landmarks})
        for (const auto& p : *points) key["landmarks"].push_back({p.x, p.y});
    }
    const auto folder = store.get_or_make("paired", key, [&](const fs::path& at) {
      try {
        write_file(at / "canvas.png", encode_png(canvas_of(photo, decode_image(bytes, Exif::rotate), side)));
      } catch (const Error& error) {
        throw Error(Exit::input, concat(settings().name, ": ", file.path.string(), ": ", error.what()));
      }
    });
    Photo companion = photo;
    companion.path = folder / "canvas.png";
    companion.sha256 = sha256_of_file(companion.path);
    return companion;
  }

  Image canvas_of(const Photo& photo, const Image& image, int side) const {
    if (p_.of_canvas) {
      if (image.width != side || image.height != side) throw Error(Exit::input, concat("is ", image.width, "×", image.height, " pixels; the canvas is ", side, "×", side));
      return image;
    }
    if (!photo.landmarks) return squash(image, side);  // as the clean one
    if (p_.redetect) return warp_image(image, fit_similarity(find_face(*detector_, image), *photo.landmarks), side);
    if (!photo.source_landmarks) throw Error(Exit::input, "the data set does not say where the clean photo's face lay: make it again, or \"redetect\": true");
    const double x = static_cast<double>(image.width) / photo.source_width, y = static_cast<double>(image.height) / photo.source_height;
    return warp_image(image, fit_similarity(scaled(*photo.source_landmarks, x, y), *photo.landmarks), side);
  }

  Found run(const Faces&, const Faces& companions, Seed) const override {
    Found found{companions.pixels};
    for (const auto& id : companions.ids) found.status.push_back(id.empty() ? "missing" : "ok");
    return found;
  }

  Parameters p_;
  std::unique_ptr<FaceDetector> detector_;
};

}  // namespace

std::shared_ptr<Attack> make_files(Spec& spec, AttackSettings settings) {
  Parameters p;
  p.folder = spec.text("folder", "");
  p.suffix = spec.text("suffix", "");
  p.keep_missing = spec.choice("missing", {"refuse", "keep"}, "refuse") == "keep";
  p.redetect = spec.flag("redetect", false);
  p.of_canvas = spec.choice("of", {"photo", "canvas"}, "photo") == "canvas";
  if (p.folder.empty()) spec.fail("folder", "expected the folder of perturbed photos");
  if (!fs::is_directory(p.folder)) spec.fail("folder", concat("no such folder: ", p.folder.string()));
  if (!p.suffix.empty() && std::find(suffixes.begin(), suffixes.end(), p.suffix) == suffixes.end()) spec.fail("suffix", concat("found \"", p.suffix, "\", expected one of ", listed(suffixes)));
  settings.notes.push_back(concat(settings.name, ": pictures from ", p.folder.filename().string(), p.redetect ? ", aligned by faces found in them" : ", aligned by the clean photos' landmarks"));
  return std::make_shared<Files>(std::move(settings), std::move(p));
}

}  // namespace facepoison
