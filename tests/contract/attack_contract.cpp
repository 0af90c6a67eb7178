// Contract of every preset; a new preset is tested at once.
#include "facepoison/attack.hpp"
#include "facepoison/home.hpp"
#include "support/support.hpp"

namespace facepoison::testing {
namespace {

// The same photos in reverse order: a second picture for each photo, for attacks that need one.
Faces turned(const Faces& faces) {
  Faces out = faces;
  out.pixels = faces.pixels.flip(0);
  if (faces.landmarks.defined()) out.landmarks = faces.landmarks.flip(0);
  std::reverse(out.ids.begin(), out.ids.end());
  std::reverse(out.people.begin(), out.people.end());
  return out;
}

// Two pictures for each photo: another one, and the photo's own mirror image.
Faces turned_and_mirrored(const Faces& faces) {
  const Faces other = turned(faces);
  Faces out;
  out.pixels = torch::stack({other.pixels, faces.pixels.flip(3)}, 1).flatten(0, 1);
  if (faces.landmarks.defined()) out.landmarks = torch::stack({other.landmarks, faces.landmarks}, 1).flatten(0, 1);
  for (std::size_t n = 0; n < faces.ids.size(); ++n) {
    out.ids.insert(out.ids.end(), {other.ids[n], faces.ids[n]});
    out.people.insert(out.people.end(), {other.people[n], faces.people[n]});
  }
  return out;
}

// The mask of each photo's person, learned from all of the person's photos in the order of their ids.
Faces masks(const Attack& attack, const Faces& faces) {
  std::map<std::string, std::map<std::string, std::int64_t>> people;
  for (std::size_t n = 0; n < faces.ids.size(); ++n) people[faces.people[n]][faces.ids[n]] = static_cast<int>(n);
  Faces out = faces;
  out.pixels = torch::empty_like(faces.pixels);
  for (const auto& [person, rows] : people) {
    Faces own;
    std::vector<std::int64_t> index;
    for (const auto& [id, row] : rows) {
      index.push_back(row);
      own.ids.push_back(id);
      own.people.push_back(person);
    }
    own.pixels = faces.pixels.index_select(0, torch::tensor(index));
    if (faces.landmarks.defined()) own.landmarks = faces.landmarks.index_select(0, torch::tensor(index));
    const auto mask = attack.fit(own, 3);
    for (const auto row : index) out.pixels[row].copy_(mask);
  }
  return out;
}

class AttackContract : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { setenv("FACEPOISON_HOME", FACEPOISON_ROOT, 1); }
  void TearDown() override { unsetenv("FACEPOISON_HOME"); }

  // The keys of the preset's file and of the presets that it is based on, without stand-ins.
  Json preset() const {
    Json own = read_preset(GetParam());
    own.erase("stand_ins");
    return own;
  }

  std::shared_ptr<const Attack> make(const std::string& template_name = "none", Json extra = Json::object()) {
    Json request = {{"preset", GetParam()}};
    const Json own = preset();
    if (own.contains("surrogates"))
      request["surrogates"] = {write_tiny_extractor(folder_.path, 1, "tiny-" + template_name, template_name).string()};
    if (own.contains("steps")) request["steps"] = 4;
    if (own.contains("epochs")) request["epochs"] = 2;
    if (own.contains("centre_steps")) request["centre_steps"] = 1;
    if (own.contains("distance")) request["distance"] = "dssim";  // the others' weights may not be here
    if (own.contains("folder")) request["folder"] = folder_.path.string();
    request.update(extra);
    return make_attack(request, {});
  }

  static Perturbed perturb(const Attack& attack, const Faces& faces) {
    if (attack.learns_masks()) return attack.perturb(faces, 3, masks(attack, faces));
    if (attack.settings().parameters.contains("target_people"))
      return attack.perturb(faces, 3, turned_and_mirrored(faces));
    return attack.perturb(faces, 3, attack.wants_companions() ? turned(faces) : Faces{});
  }

  TempFolder folder_;
};

TEST_P(AttackContract, KeepsShapeAndStaysOnTheGridInRange) {
  const Faces faces = drawn_faces(5, 48, false);
  const auto before = faces.pixels.clone();
  const auto attack = make();
  const auto out = perturb(*attack, faces);
  ASSERT_EQ(out.pixels.sizes(), faces.pixels.sizes());
  ASSERT_EQ(out.status.size(), 5u);
  for (const auto status : out.status)
    EXPECT_TRUE(status == Status::ok || status == Status::last_iterate) << name_of(status);
  const bool steps = preset().contains("steps") && !attack->learns_masks();  // those are taken in fit()
  EXPECT_EQ(out.iterations, std::vector<std::int64_t>(5, steps ? 4 : 0));
  ASSERT_EQ(out.own_measure.size(), 5u);
  for (const double own_measure : out.own_measure)
    EXPECT_EQ(std::isfinite(own_measure), !attack->settings().surrogates.empty());
  EXPECT_GE(out.pixels.min().item<float>(), 0);
  EXPECT_LE(out.pixels.max().item<float>(), 1);
  EXPECT_LT((out.pixels * 255 - (out.pixels * 255).round()).abs().max().item<float>(), 1e-4);
  EXPECT_TRUE(torch::equal(before, faces.pixels)) << "the clean photos were changed in place";
}

std::string all_bytes(const torch::Tensor& pixels) {
  const auto bytes = (pixels * 255).round().to(torch::kUInt8).contiguous();
  return {static_cast<const char*>(bytes.data_ptr()), static_cast<std::size_t>(bytes.numel())};
}

// A sample of the bytes in 192 hexadecimal digits.
std::string some_bytes(const torch::Tensor& pixels) {
  const auto bytes = all_bytes(pixels);
  std::string digits;
  for (std::size_t i = 0; i < 192; ++i) {
    char text[3];
    std::snprintf(text, sizeof text, "%02x", static_cast<unsigned char>(bytes[(2 * i + 1) * bytes.size() / 384]));
    digits += text;
  }
  return digits;
}

// Kernels that every processor of this architecture has. CMakeLists.txt sets the same ones for the test of bytes.
const std::vector<std::pair<std::string, std::string>> plainest = {
    {"MKL_CBWR", "COMPATIBLE"}, {"ATEN_CPU_CAPABILITY", "default"}, {"ONEDNN_MAX_CPU_ISA", "SSE41"}};

// The cache keys pictures by an attack's version, so changed bytes need a new version. Each processor's own kernels
// round differently, which changes the pictures after many steps: hence the plainest kernels.
TEST_P(AttackContract, TheSameVersionGivesTheSameBytes) {
  std::string settings;
  for (const auto& [name, value] : plainest) settings += concat(name, "=", value, " ");
  for (const auto& [name, value] : plainest) {
    const char* const set = std::getenv(name.c_str());
    ASSERT_EQ(set ? set : "", value) << "bytes are compared under " << settings
                                     << "only: so ctest runs this test, or set these before the command";
  }
  const auto attack = make();
  const auto pixels = perturb(*attack, drawn_faces(3, 48, false)).pixels;
  const Json found = {
      {"version", attack->settings().version}, {"sha256", sha256(all_bytes(pixels))}, {"bytes", some_bytes(pixels)}};
  const Json all = read_json(fs::path(FACEPOISON_ROOT) / "tests/golden/attacks.json");
  const Json golden = all.value(GetParam(), Json{{"bytes", ""}});
  const auto before = golden["bytes"].get<std::string>(), now = found["bytes"].get<std::string>();
  std::size_t differ = 0;
  for (std::size_t i = 0; i < now.size(); i += 2)
    differ += i >= before.size() || before.substr(i, 2) != now.substr(i, 2);
  EXPECT_EQ(golden, found) << differ << " of " << now.size() / 2
                           << " sampled bytes differ. If the change is meant, raise the attack's "
                           << "version in src/attacks/registry.cpp, and write to tests/golden/attacks.json:\n\""
                           << GetParam() << "\": " << found.dump();
}

TEST_P(AttackContract, ChangesPhotosIfItSaysSo) {
  const Faces faces = drawn_faces(2, 48, false);
  const auto attack = make();
  const bool changed = !torch::equal(perturb(*attack, faces).pixels, faces.pixels);
  EXPECT_EQ(changed, attack->changes_photos());
}

TEST_P(AttackContract, GivesTheSameBytesAgain) {
  const Faces faces = drawn_faces(4, 48, false);
  EXPECT_TRUE(torch::equal(perturb(*make(), faces).pixels, perturb(*make(), faces).pixels));
}

TEST_P(AttackContract, DrawsForEachPhotoNotForItsPlaceInTheBatch) {
  const Faces faces = drawn_faces(4, 48, false);
  const auto difference = perturb(*make(), turned(faces)).pixels.flip(0) - perturb(*make(), faces).pixels;
  // Float rounding may turn the sign of a gradient that is almost zero.
  EXPECT_LT((difference.abs() > 1e-6).to(torch::kFloat32).mean().item<float>(), 0.01);
}

TEST_P(AttackContract, TakesAlignedFaces) {
  const Faces faces = drawn_faces(3, 64, true);
  EXPECT_EQ(perturb(*make("arcface-112"), faces).pixels.sizes(), faces.pixels.sizes());
}

TEST_P(AttackContract, RefusesUnknownKeysWithTheNearest) {
  const auto error = caught([&] { make("none", {{"surogates", 1}}); });
  EXPECT_EQ(error.code, Exit::usage);
  EXPECT_TRUE(contains(error.message, "\"surogates\"")) << error.message;
}

TEST_P(AttackContract, ShowsEveryParameterInItsPreset) {
  const Json shown = preset();
  const auto parameters = make()->settings().parameters;
  for (const auto& [key, value] : shown.items()) EXPECT_TRUE(parameters.contains(key)) << key;
  for (const auto& [key, value] : parameters.items())
    EXPECT_TRUE(shown.contains(key) || key == "released") << key << " has a default that the preset does not show";
}

std::vector<std::string> preset_names() {
  setenv("FACEPOISON_HOME", FACEPOISON_ROOT, 1);
  const auto names = names_in("configs/attacks");
  unsetenv("FACEPOISON_HOME");
  return names;
}
INSTANTIATE_TEST_SUITE_P(Presets, AttackContract, ::testing::ValuesIn(preset_names()), [](const auto& info) {
  std::string name = info.param;
  std::replace_if(name.begin(), name.end(), [](char c) { return c == '-' || c == '.'; }, '_');
  return name;
});

TEST(AttackRegistry, HasAPresetForEveryRow) {
  setenv("FACEPOISON_HOME", FACEPOISON_ROOT, 1);
  std::set<std::string> used;
  for (const auto& name : preset_names()) used.insert(read_preset(name).at("attack").get<std::string>());
  for (const auto& row : attack_registry()) EXPECT_TRUE(used.count(row.name)) << row.name;
  unsetenv("FACEPOISON_HOME");
}

TEST(AttackRegistry, TakesTheSurrogateThatShipsWhereNoneOfAPresetWasFetched) {
  const TempFolder home;  // a project with the cards and no models
  for (const auto* folder : {"configs", "data"})
    fs::create_directory_symlink(fs::path(FACEPOISON_ROOT) / folder, home / folder);
  setenv("FACEPOISON_HOME", home.path.c_str(), 1);
  const auto attack = make_attack("pgd", {});
  ASSERT_EQ(attack->settings().surrogates.size(), 1u);
  EXPECT_EQ(attack->settings().surrogates.front()->card().name, "small-surrogate");
  EXPECT_TRUE(contains(attack->settings().notes.back(), "small-surrogate stands in"));
  EXPECT_EQ(caught([] { make_attack({{"preset", "pgd"}, {"surrogates", {"dlib"}}}, {}); }).code, Exit::model)
      << "what a user names is never replaced";
  unsetenv("FACEPOISON_HOME");
}

TEST(AttackRegistry, TakesAPresetsStandInsBeforeTheSurrogateThatShips) {
  setenv("FACEPOISON_HOME", FACEPOISON_ROOT, 1);
  const TempFolder folder;
  const auto there = write_tiny_extractor(folder.path, 1, "there").string(),
             gone = write_tiny_extractor(folder.path, 2, "gone").string();
  fs::remove(folder / "gone.pt");
  Json preset = read_preset("lowkey-dssim");
  preset["surrogates"] = Json::array({gone}), preset["stand_ins"] = Json::array({there});
  // By name in a separate project, since networks that a user's own file names are never replaced.
  const TempFolder home;
  fs::copy(fs::path(FACEPOISON_ROOT) / "configs", home / "configs", fs::copy_options::recursive);
  write_file(home / "configs/attacks/mine.json", preset.dump());
  setenv("FACEPOISON_HOME", home.path.c_str(), 1);
  ASSERT_TRUE(fs::exists(there));
  const auto attack = make_attack("mine", {});
  ASSERT_EQ(attack->settings().surrogates.size(), 1u);
  EXPECT_EQ(attack->settings().surrogates.front()->card().name, "there");
  EXPECT_EQ(attack->settings().parameters["surrogates"], Json::array({there})) << "the record names who was attacked";
  EXPECT_TRUE(std::any_of(attack->settings().notes.begin(), attack->settings().notes.end(),
                          [](const auto& note) { return contains(note, "there.json stands in"); }));
  unsetenv("FACEPOISON_HOME");
}

TEST(AttackRegistry, RefusesPresetsThatBuildOnEachOther) {
  setenv("FACEPOISON_HOME", FACEPOISON_ROOT, 1);
  const TempFolder folder;
  write_file(folder / "a.json", Json{{"preset", (folder / "b.json").string()}}.dump());
  write_file(folder / "b.json", Json{{"preset", (folder / "a.json").string()}}.dump());
  EXPECT_EQ(caught([&] { make_attack((folder / "a.json").string(), {}); }).code, Exit::usage);
  unsetenv("FACEPOISON_HOME");
}

// A surrogate that divides zero by zero for one photo only, the all-black one.
fs::path write_fragile_extractor(const fs::path& folder) {
  torch::jit::Module module("fragile");
  module.define(
      "def forward(self, x):\n  m = torch.flatten(torch.adaptive_avg_pool2d(x, [4, 1]), 1)\n  return m / torch.sum(m * "
      "m, [1], True)\n");
  module.save((folder / "fragile.pt").string());
  const Json card = {{"title", "breaks on black"},
                     {"released", "2001"},
                     {"licence", "none"},
                     {"file", "./fragile.pt"},
                     {"sha256", sha256_of_file(folder / "fragile.pt")},
                     {"input",
                      {{"side", 24},
                       {"template", "none"},
                       {"channels", "rgb"},
                       {"scale", 1.0},
                       {"mean", {0.0, 0.0, 0.0}},
                       {"std", {1.0, 1.0, 1.0}}}},
                     {"dimension", 12}};
  write_file(folder / "fragile.json", card.dump());
  return folder / "fragile.json";
}

TEST(AttackContractInfeasible, KeepsThePhotosCleanPixelsAndSaysSo) {
  setenv("FACEPOISON_HOME", FACEPOISON_ROOT, 1);
  const TempFolder folder;
  Faces faces = drawn_faces(3, 48, false);
  faces.pixels[1].zero_();
  const auto attack = make_attack({{"preset", "pgd"},
                                   {"surrogates", {write_fragile_extractor(folder.path).string()}},
                                   {"random_start", false},
                                   {"steps", 2}},
                                  {});
  const auto out = attack->perturb(faces, 0);
  EXPECT_EQ(out.status, (std::vector{Status::ok, Status::infeasible, Status::ok}));
  EXPECT_TRUE(torch::equal(out.pixels[1], faces.pixels[1]));
  EXPECT_TRUE(out.pixels.isfinite().all().item<bool>());
  unsetenv("FACEPOISON_HOME");
}

}  // namespace
}  // namespace facepoison::testing
