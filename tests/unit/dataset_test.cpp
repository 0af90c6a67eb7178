// Data sets: written ones read back, and a broken manifest is refused with its line.
#include "facepoison/dataset.hpp"

#include <fstream>

#include "support/support.hpp"

namespace facepoison {
namespace {

using namespace testing;

constexpr int side = 12;
const Table no_rejects{{"id", "person", "reason"}, {}, {}};

// A photo whose canvas picture is written below `folder`.
Photo photo(const fs::path& folder, const std::string& id, int variant = 0, int picture_side = side) {
  const auto png = encode_png(draw_photo(0, variant, picture_side));
  const fs::path path = folder / "canvas" / (id + ".png");
  write_file(path, png);
  return {.id = id,
          .person = id.substr(0, id.find('/')),
          .path = path,
          .sha256 = sha256(png),
          .source = id,
          .source_sha256 = sha256(id)};
}

// A manifest of two photos, after `edit` has changed its lines.
template <class Edit>
Caught broken(Edit&& edit) {
  const TempFolder folder;
  write_dataset(folder.path, {photo(folder.path, "a/1.jpg"), photo(folder.path, "b/1.jpg")}, side, no_rejects);
  std::vector<Json> lines;
  std::istringstream in(read_file(folder / "manifest.jsonl"));
  for (std::string line; std::getline(in, line);) lines.push_back(Json::parse(line));
  edit(lines, folder.path);
  std::string out;
  for (const auto& line : lines) out += line.dump() + "\n";
  write_file(folder / "manifest.jsonl", out);
  return caught([&] { read_dataset(folder.path); });
}

void expect_line_2(const Caught& found, const std::vector<std::string>& parts) {
  EXPECT_EQ(found.code, Exit::input);
  EXPECT_TRUE(contains(found.message, "manifest.jsonl, line 2")) << found.message;
  for (const auto& part : parts)
    EXPECT_TRUE(contains(found.message, part)) << "no '" << part << "' in: " << found.message;
}

TEST(Dataset, RoundTrips) {
  const TempFolder folder;
  std::vector<Photo> photos = {photo(folder.path, "a/1.jpg", 0), photo(folder.path, "a/two \"words\".png", 1),
                               photo(folder.path, "é/3.bmp", 2)};
  photos[0].split = Split::train, photos[1].split = Split::test, photos[1].duplicate_of = "a/1.jpg";
  photos[0].landmarks = Landmarks{{{1.0 / 3, 2}, {3, -4.5}, {5, 6}, {7, 1e-17}, {9, 10}}};
  Table rejected = no_rejects;
  rejected.add({"a/9.jpg", "a", "an empty file"});
  write_dataset(folder.path, photos, side, rejected);
  for (const auto& path : {folder.path, folder / "manifest.jsonl"}) {
    EXPECT_TRUE(is_dataset(path));
    const Dataset read = read_dataset(path);
    EXPECT_EQ(read.side, side);
    EXPECT_EQ(read.rejected, 1u);
    EXPECT_EQ(read.manifest_sha256, sha256_of_file(folder / "manifest.jsonl"));
    EXPECT_EQ(read.people(), (std::vector<std::string>{"a", "é"}));
    ASSERT_EQ(read.photos.size(), photos.size());
    for (std::size_t i = 0; i < photos.size(); ++i) {
      const Photo &a = photos[i], &b = read.photos[i];
      EXPECT_EQ(std::tie(a.id, a.person, a.sha256, a.source, a.source_sha256, a.split, a.duplicate_of),
                std::tie(b.id, b.person, b.sha256, b.source, b.source_sha256, b.split, b.duplicate_of));
      EXPECT_TRUE(fs::equivalent(a.path, b.path));
      ASSERT_EQ(a.landmarks.has_value(), b.landmarks.has_value());
      for (std::size_t p = 0; a.landmarks && p < 5; ++p)
        EXPECT_TRUE((*a.landmarks)[p].x == (*b.landmarks)[p].x && (*a.landmarks)[p].y == (*b.landmarks)[p].y);
    }
  }
}

TEST(Dataset, SaysOfEachPhotoByWhatItWasPerturbed) {
  const TempFolder folder;
  std::vector<Photo> photos = {photo(folder / "a", "a/1.jpg", 0), photo(folder / "a", "b/1.jpg", 1)};
  write_dataset(folder / "a", photos, side, no_rejects);
  EXPECT_FALSE(contains(read_file(folder / "a/manifest.jsonl"), "perturbed_by")) << "a clean one is as it always was";
  EXPECT_EQ(before_attacks(photos[0]).path, photos[0].path);

  std::vector<Photo> posted = {photo(folder / "b", "a/1.jpg", 2), photo(folder / "b", "b/1.jpg", 1)};
  posted[0].perturbed_by = "noise", posted[0].original_sha256 = photos[0].sha256;
  write_dataset(folder / "b", posted, side, no_rejects);
  EXPECT_TRUE(contains(caught([&] { before_attacks(read_dataset(folder / "b").photos); }).message, "is not known"));
  write_file(folder / "b/perturb.json", Json{{"original", (folder / "a").string()}, {"attack", "noise"}}.dump());
  const Dataset read = read_dataset(folder / "b");
  EXPECT_EQ(read.photos[0].perturbed_by, "noise");
  EXPECT_EQ(read.photos[1].perturbed_by, "");
  EXPECT_EQ(read.originals, folder / "a");
  const auto before = before_attacks(read.photos);
  EXPECT_EQ(read_canvas(before[0]).rgb, read_canvas(photos[0]).rgb);
  EXPECT_EQ(before[1].path, read.photos[1].path);
  write_file(photos[0].path, "another picture");
  const auto [code, message] = caught([&] { before_attacks(read.photos[0]); });
  EXPECT_EQ(code, Exit::input);
  EXPECT_TRUE(contains(message, "photo a/1.jpg was perturbed by noise") && contains(message, photos[0].path.string()))
      << message;
}

TEST(Dataset, KnowsByTheBudgetWhatWasPerturbedBeforeManifestsSaidIt) {
  const TempFolder folder;
  write_dataset(folder.path, {photo(folder.path, "a/1.jpg"), photo(folder.path, "b/1.jpg", 1)}, side, no_rejects);
  write_file(folder / "budget.csv",
             "id,attack,status,iterations,linf\na/1.jpg,lowkey,ok,9,14\nb/1.jpg,lowkey,infeasible,9,0\n");
  EXPECT_EQ(read_dataset(folder.path).photos[0].perturbed_by, "lowkey");
  EXPECT_EQ(read_dataset(folder.path).photos[1].perturbed_by, "");
  write_file(folder / "budget.csv", "month,euro\n1,2\n");
  EXPECT_EQ(read_dataset(folder.path).photos[0].perturbed_by, "") << "somebody's";
}

TEST(Dataset, CanBeMoved) {
  const TempFolder folder;
  write_dataset(folder / "before", {photo(folder / "before", "a/1.jpg")}, side, no_rejects);
  fs::rename(folder / "before", folder / "after");
  EXPECT_EQ(load_faces(read_dataset(folder / "after").photos).size(), 1);
}

TEST(Dataset, NoticesACanvasThatWasReplacedOrEdited) {
  for (const bool in_place : {false, true}) {
    const TempFolder folder;
    write_dataset(folder.path, {photo(folder.path, "a/1.jpg"), photo(folder.path, "b/1.jpg", 1)}, side, no_rejects);
    read_dataset(folder.path);
    const auto canvas = folder / "canvas/b/1.jpg.png";
    const auto time = fs::last_write_time(canvas);
    std::string other = encode_png(draw_photo(0, 2, side));
    other.resize(fs::file_size(canvas));
    if (in_place)
      std::ofstream(canvas, std::ios::binary) << other;
    else
      write_file(canvas, other);
    fs::last_write_time(canvas, time);  // the size and the time of the last change are what they were
    const auto [code, message] = caught([&] { read_dataset(folder.path); });
    EXPECT_EQ(code, Exit::input);
    EXPECT_TRUE(contains(message, "photo b/1.jpg (") && contains(message, "changed since the data set")) << message;
  }
}

TEST(Dataset, ReadsCanvasesAgainOnlyWhereTheirFilesLookOtherwise) {
  const TempFolder folder;
  write_dataset(folder.path, {photo(folder.path, "a/1.jpg"), photo(folder.path, "b/1.jpg", 1)}, side, no_rejects);
  const auto manifest = read_dataset(folder.path).manifest_sha256;
  const auto record = folder / "verified.txt";
  const std::string first = read_file(record);
  const auto time = fs::last_write_time(record) - std::chrono::hours(1);
  fs::last_write_time(record, time);
  read_dataset(folder.path);
  EXPECT_EQ(fs::last_write_time(record), time) << "written again, though nothing had changed";
  fs::create_hard_link(folder / "canvas/b/1.jpg.png", folder / "link.png");  // changes the file's ctime, not its bytes
  EXPECT_EQ(read_dataset(folder.path).manifest_sha256, manifest);
  EXPECT_NE(read_file(record), first);
}

TEST(Dataset, IgnoresTheRecordOfAnotherManifest) {
  const TempFolder folder;
  write_dataset(folder.path, {photo(folder.path, "a/1.jpg")}, side, no_rejects);
  read_dataset(folder.path);
  Photo wrong = photo(folder.path, "a/1.jpg");
  read_dataset(folder.path);
  wrong.sha256 = sha256("another picture");
  write_dataset(folder.path, {wrong}, side, no_rejects);
  EXPECT_EQ(caught([&] { read_dataset(folder.path); }).code, Exit::input);
}

TEST(Dataset, NeedsNoRecord) {
  const TempFolder folder;
  write_dataset(folder.path, {photo(folder.path, "a/1.jpg")}, side, no_rejects);
  fs::create_directories(folder / "verified.txt");  // stands for a folder that cannot be written
  for (int i = 0; i < 2; ++i) EXPECT_EQ(read_dataset(folder.path).photos.size(), 1u);
  write_file(folder / "canvas/a/1.jpg.png", encode_png(draw_photo(0, 2, side)));
  EXPECT_EQ(caught([&] { read_dataset(folder.path); }).code, Exit::input);
}

TEST(Dataset, SaysWhichDuplicatesWereDroppedOrKept) {
  const TempFolder folder;
  const auto make = [&](const char* id, Split split, const char* bytes, const char* original) {
    Photo one = photo(folder.path, id);
    one.split = split, one.source_sha256 = bytes, one.duplicate_of = original;
    return one;
  };
  std::vector<Photo> photos = {make("a/1", Split::train, "x", ""), make("a/2", Split::test, "y", "")};
  photos.push_back(make("b/1", Split::test, "z", ""));
  write_dataset(folder.path, photos, side, no_rejects);
  EXPECT_TRUE(duplicate_notes(read_dataset(folder.path)).empty()) << "nothing to say";

  Table rejected = no_rejects;
  rejected.add({"a/7", "a", "duplicate of a/1"}), rejected.add({"b/7", "b", "duplicate of a/1"});
  rejected.add({"b/8", "b", "near duplicate of b/1"}), rejected.add({"b/9", "b", "no face found"});
  rejected.add({"b/1_cloaked.png", "b", of_a_tool});
  write_dataset(folder.path, photos, side, rejected);
  const std::vector<std::string> dropped = {
      "duplicates dropped: 2 exact (1 within and 1 across people), 1 near (1 within and 0 across people)",
      tools_note(1)};
  EXPECT_EQ(duplicate_notes(read_dataset(folder.path)), dropped);

  // The test photos a/3 and b/1 repeat a/1 of the gallery; b/2 and b/3 are one picture, both in the gallery.
  photos[2] = make("a/3", Split::test, "x", "a/1");
  photos.push_back(make("b/1", Split::test, "x2", "a/1"));
  photos.push_back(make("b/2", Split::train, "z", "")), photos.push_back(make("b/3", Split::train, "z", "b/2"));
  write_dataset(folder.path, photos, side, no_rejects);
  const std::vector<std::string> kept = {
      "duplicates kept: 2 exact (2 within and 0 across people), 1 near (0 within and 1 across people); "
      "2 of 3 test photos have a twin in the gallery"};
  EXPECT_EQ(duplicate_notes(read_dataset(folder.path)), kept);
}

TEST(Dataset, RefusesIdsOutOfOrderOrTwice) {
  using Lines = std::vector<Json>&;
  expect_line_2(broken([](Lines lines, const fs::path&) { std::swap(lines[0], lines[1]); }), {"a/1.jpg", "b/1.jpg"});
  expect_line_2(broken([](Lines lines, const fs::path&) { lines[1]["id"] = "a/1.jpg"; }), {"a/1.jpg"});
}

TEST(Dataset, RefusesPathsThatLeaveItsFolder) {
  for (const char* path : {"../outside.png", "canvas/../../outside.png", "/etc/hostname"})
    expect_line_2(broken([&](std::vector<Json>& lines, const fs::path&) { lines[1]["path"] = path; }),
                  {"\"path\"", path});
}

TEST(Dataset, RefusesALinkThatLeavesItsFolder) {
  const TempFolder outside;
  write_file(outside / "x.png", encode_png(draw_photo(0, 0, side)));
  expect_line_2(broken([&](std::vector<Json>&, const fs::path& folder) {
                  fs::remove(folder / "canvas/b/1.jpg.png");
                  fs::create_symlink(outside / "x.png", folder / "canvas/b/1.jpg.png");
                }),
                {"canvas/b/1.jpg.png"});
}

TEST(Dataset, RefusesAMissingPicture) {
  expect_line_2(broken([](std::vector<Json>&, const fs::path& folder) { fs::remove(folder / "canvas/b/1.jpg.png"); }),
                {"canvas/b/1.jpg.png"});
}

TEST(Dataset, RefusesAFolderForAPicture) {
  for (const char* path : {"", ".", "canvas"})
    expect_line_2(broken([&](std::vector<Json>& lines, const fs::path&) { lines[1]["path"] = path; }), {});
}

TEST(Dataset, RefusesWrongValues) {
  const std::vector<std::pair<std::string, Json>> edits = {
      {"side", 13},
      {"side", 0},
      {"split", "validation"},
      {"landmarks", Json::array({1, 2})},
      {"person", 3},
      {"extra", 1},
      {"id", nullptr},
      {"landmarks", "none"},
      {"source_size", Json::array({1e300, 5})},
      {"source_size", Json::array({100.5, 5})},
      {"landmarks", Json::array({{1, 2}, {3, 4}, {5, 1e300}, {7, 8}, {9, 1}})}};
  for (const auto& [key, value] : edits)
    expect_line_2(
        broken([&, &key = key, &value = value](std::vector<Json>& lines, const fs::path&) { lines[1][key] = value; }),
        {"\"" + key + "\""});
  expect_line_2(broken([](std::vector<Json>& lines, const fs::path&) { lines[1].erase("sha256"); }),
                {"sha256", "missing"});
}

TEST(Dataset, RefusesADuplicateOfWhatIsNoId) {
  expect_line_2(broken([](std::vector<Json>& lines, const fs::path&) { lines[1]["duplicate_of"] = 5; }),
                {"\"duplicate_of\""});
}

TEST(Dataset, RefusesWhatIsNoManifest) {
  const TempFolder folder;
  EXPECT_FALSE(is_dataset(folder.path));
  EXPECT_EQ(caught([&] { read_dataset(folder.path); }).code, Exit::input);
  for (const char* text : {"", "not json\n", "[1]\n"}) {
    write_file(folder / "manifest.jsonl", text);
    EXPECT_EQ(caught([&] { read_dataset(folder.path); }).code, Exit::input) << text;
  }
}

TEST(LoadFaces, GivesPixelsAndLandmarks) {
  const TempFolder folder;
  std::vector<Photo> photos = {photo(folder.path, "a/1.jpg", 0), photo(folder.path, "b/1.jpg", 1)};
  for (auto& one : photos) one.landmarks = Landmarks{{{1, 2}, {3, 4}, {5, 6}, {7, 8}, {9, 10}}};
  const Faces faces = load_faces(photos);
  EXPECT_EQ(faces.pixels.sizes(), (std::vector<std::int64_t>{2, 3, side, side}));
  EXPECT_TRUE(torch::equal(faces.pixels[1], to_tensor(draw_photo(0, 1, side))[0]));
  EXPECT_EQ(faces.ids, (std::vector<std::string>{"a/1.jpg", "b/1.jpg"}));
  EXPECT_EQ(faces.people, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(faces.landmarks.sizes(), (std::vector<std::int64_t>{2, 5, 2}));
  EXPECT_EQ(faces.landmarks[1][3][1].item<double>(), 8);
}

TEST(LoadFaces, NamesAPhotoOfAnotherSizeAChangedAndADamagedOne) {
  const TempFolder folder;
  std::vector<Photo> photos = {photo(folder.path, "a/1.jpg"), photo(folder.path, "b/1.jpg", 0, side + 1)};
  auto [code, message] = caught([&] { load_faces(photos); });
  EXPECT_EQ(code, Exit::input);
  EXPECT_TRUE(contains(message, "b/1.jpg") && contains(message, "13×13")) << message;
  write_file(photos[1].path, read_file(photos[1].path).substr(0, 60));
  message = caught([&] { load_faces(photos); }).message;
  EXPECT_TRUE(contains(message, "b/1.jpg") && contains(message, "changed")) << message;
  photos[1].sha256 = sha256_of_file(photos[1].path);
  message = caught([&] { load_faces(photos); }).message;
  EXPECT_TRUE(contains(message, "b/1.jpg") && contains(message, "truncated")) << message;
}

TEST(LoadFaces, DoesNotMixPhotosWithAndWithoutLandmarks) {
  const TempFolder folder;
  std::vector<Photo> photos = {photo(folder.path, "a/1.jpg"), photo(folder.path, "b/1.jpg")};
  EXPECT_FALSE(load_faces(photos).landmarks.defined());
  photos[1].landmarks.emplace();
  EXPECT_EQ(caught([&] { load_faces(photos); }).code, Exit::input);
}

TEST(ToTensor, HasTheChannelsOneAfterTheOtherAsLibTorchDividesThem) {
  Image image{16, 32, {}};
  for (int value = 0; value < 16 * 32 * 3; ++value) image.rgb.push_back(static_cast<std::uint8_t>(value * 7));
  const auto rows = torch::from_blob(image.rgb.data(), {32, 16, 3}, torch::kUInt8);
  const auto tensor = to_tensor(image);
  EXPECT_TRUE(torch::equal(tensor[0], rows.permute({2, 0, 1}).to(torch::kFloat32).div(255)));
  EXPECT_TRUE(tensor.is_contiguous());
}

TEST(ToImage, RoundsAndUndoesToTensor) {
  const Image photo = draw_photo(1, 1, 9);
  EXPECT_EQ(to_image(to_tensor(photo)).rgb, photo.rgb);
  EXPECT_EQ(to_image(torch::full({3, 1, 1}, 100.6 / 255)).rgb, (std::vector<std::uint8_t>{101, 101, 101}));
  EXPECT_EQ(to_image(torch::tensor({-0.5, 1.5, 0.0}).view({3, 1, 1})).rgb, (std::vector<std::uint8_t>{0, 255, 0}));
}

}  // namespace
}  // namespace facepoison
