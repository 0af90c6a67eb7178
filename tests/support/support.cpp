#include "support/support.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "facepoison/prepare.hpp"

namespace facepoison::testing {

TempFolder::TempFolder() : path(temporary_name(fs::temp_directory_path())) { fs::create_directories(path); }

TempFolder::~TempFolder() {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

pid_t start_process(const std::function<int()>& work) {
  const pid_t child = fork();
  if (child != 0) return child;
  try {
    _exit(work());
  } catch (const std::exception& error) {
    [[maybe_unused]] const auto said = ::write(STDERR_FILENO, error.what(), std::strlen(error.what()));
  }
  _exit(99);
}

Image draw_photo(int person, int variant, int side) {
  Image image{side, side, std::vector<std::uint8_t>(static_cast<std::size_t>(side * side * 3))};
  Stream look(17, "look", std::to_string(person)), take(17, "take", std::to_string(person), std::to_string(variant));
  double wave[3][4];
  for (auto& channel : wave)
    for (auto& number : channel) number = look.uniform();
  const double shift = 0.15 * take.uniform(), light = 0.9 + 0.2 * take.uniform();
  // A texture of each photo, finer than recognisers see, so that two photos of one person are not near duplicates.
  const double across = 5 + 2 * take.uniform(), down = 5 + 2 * take.uniform(), start = 6 * take.uniform();
  for (int y = 0; y < side; ++y)
    for (int x = 0; x < side; ++x)
      for (int c = 0; c < 3; ++c) {
        const double u = static_cast<double>(x) / side + shift, v = static_cast<double>(y) / side - shift;
        const double value =
            0.5 + 0.4 * std::sin(6 * (wave[c][0] * u + wave[c][1] * v) + 6 * wave[c][2]) * std::cos(5 * wave[c][3] * v);
        const double weave = 0.16 * std::sin(6.28 * (across * x + down * y) / side + start);
        image.rgb[static_cast<std::size_t>((y * side + x) * 3 + c)] =
            static_cast<std::uint8_t>(std::clamp(value * light + weave, 0.0, 1.0) * 255);
      }
  return image;
}

void draw_people(const fs::path& folder, int people, int photos, int side) {
  for (int p = 0; p < people; ++p)
    for (int v = 0; v < photos; ++v)
      write_file(folder / concat("p", p / 10, p % 10) / concat("v", v, ".png"), encode_png(draw_photo(p, v, side)));
}

Image lying(const Image& image) {
  Image out{image.height, image.width, std::vector<std::uint8_t>(image.rgb.size())};
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x) {
      const auto from = static_cast<std::size_t>(y * image.width + x);
      const auto to = static_cast<std::size_t>((image.width - 1 - x) * out.width + y);
      for (std::size_t c = 0; c < 3; ++c) out.rgb[to * 3 + c] = image.rgb[from * 3 + c];
    }
  return out;
}

std::string with_exif_turn(std::string jpeg) {
  const std::string tiff("II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0", 26);
  return jpeg.insert(2, std::string("\xff\xe1\0\x22", 4) + std::string("Exif\0\0", 6) + tiff);
}

fs::path write_tiny_extractor(const fs::path& folder, int seed, const std::string& name,
                              const std::string& template_name) {
  fs::create_directories(folder);
  torch::jit::Module module("tiny");
  Stream stream(static_cast<Seed>(seed), "tiny");
  auto weight = torch::empty({16, 108});
  for (std::int64_t i = 0; i < weight.numel(); ++i)
    weight.data_ptr<float>()[i] = static_cast<float>(stream.uniform() - 0.5);
  module.register_parameter("weight", weight, false);
  module.define(
      "def forward(self, x):\n  return torch.matmul(torch.flatten(torch.adaptive_avg_pool2d(x, [6, 6]), 1), "
      "self.weight.t())\n");
  module.save((folder / (name + ".pt")).string());
  const Json card = {{"title", "a tiny linear network for tests"},
                     {"released", "2001"},
                     {"licence", "none"},
                     {"file", "./" + name + ".pt"},
                     {"sha256", sha256_of_file(folder / (name + ".pt"))},
                     {"input",
                      {{"side", 24},
                       {"template", template_name},
                       {"channels", "bgr"},
                       {"scale", 255.0},
                       {"mean", {10.0, 20.0, 30.0}},
                       {"std", {64.0, 64.0, 64.0}}}},
                     {"dimension", 16}};
  write_file(folder / (name + ".json"), card.dump(1));
  return folder / (name + ".json");
}

fs::path write_tiny_purifier(const fs::path& folder, double share, int side, const std::string& name) {
  Json card = read_json(write_tiny_extractor(folder, 1, name));
  auto weight = torch::zeros({3, 3, 3, 3});
  for (int c = 0; c < 3; ++c) {
    weight[c][c] -= share / 9;
    weight[c][c][1][1] += share;
  }
  torch::jit::Module module("purifier");
  module.register_parameter("weight", weight, false);
  module.define(
      "def forward(self, x):\n"
      "  return torch.clamp(x - torch.conv2d(x, self.weight, None, [1, 1], [1, 1]), 0.0, 1.0)\n");
  module.save((folder / (name + ".pt")).string());
  card.erase("dimension");
  card.update({{"task", "purifier"},
               {"sha256", sha256_of_file(folder / (name + ".pt"))},
               {"input",
                {{"side", side},
                 {"template", "none"},
                 {"channels", "rgb"},
                 {"scale", 1.0},
                 {"mean", {0.0, 0.0, 0.0}},
                 {"std", {1.0, 1.0, 1.0}}}}});
  write_file(folder / (name + ".json"), card.dump(1));
  return folder / (name + ".json");
}

void link_project(const fs::path& home) {
  fs::create_directories(home);
  for (const auto* folder : {"configs", "data"})
    fs::create_directory_symlink(fs::path(FACEPOISON_ROOT) / folder, home / folder);
}

void write_mean_square_lpips(const fs::path& home) {
  torch::jit::Module module("lpips");
  module.register_buffer("weight", torch::ones({1}));  // a device of its own, as LPIPS has
  module.define(
      "def forward(self, x):\n  return x\n"  // needed for freezing
      "def seen(self, x):\n  return [self.weight * x]\n"
      "def apart(self, a: List[Tensor], b: List[Tensor]):\n  d = a[0] - b[0]\n  return torch.mean(d * d, [1, 2, 3])\n");
  fs::create_directories(home / "models");
  module.save((home / "models/lpips.pt").string());
  write_file(home / "models/lpips.json", Json{{"sha256", sha256_of_file(home / "models/lpips.pt")}}.dump());
}

Dataset prepare_drawn(const fs::path& folder, int people, int photos) {
  draw_people(folder / "photos", people, photos);
  ArtifactStore store(folder / "store");
  PrepareOptions options;
  options.detect = false;
  options.canvas = 48;
  return prepare(scan_photos(folder / "photos"), folder / "dataset", options, store);
}

Faces drawn_faces(int count, int side, bool with_landmarks) {
  Faces faces;
  std::vector<torch::Tensor> pixels;
  std::vector<double> points;
  const Landmarks base = *template_landmarks("arcface-112", side);
  for (int n = 0; n < count; ++n) {
    pixels.push_back(to_tensor(draw_photo(n / 4, n % 4, side)));
    faces.ids.push_back(concat("person", n / 4, "/photo", n % 4, ".png"));
    faces.people.push_back(concat("person", n / 4));
    for (const auto& p : base) points.insert(points.end(), {p.x + n % 3, p.y - n % 2});
  }
  faces.pixels = torch::cat(pixels);
  if (with_landmarks) faces.landmarks = torch::tensor(points, torch::kFloat64).view({-1, 5, 2});
  return faces;
}

Outcome run_binary(const std::string& arguments, const fs::path& folder, const std::string& environment) {
  const TempFolder capture;
  const std::string command = concat("cd '", folder.string(), "' && FACEPOISON_HOME='", FACEPOISON_ROOT, "' ",
                                     environment, " ", FACEPOISON_BINARY, " ", arguments, " >'",
                                     (capture / "out").string(), "' 2>'", (capture / "err").string(), "'");
  const int status = std::system(command.c_str());
  Outcome outcome;
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  outcome.out = read_file(capture / "out");
  outcome.err = read_file(capture / "err");
  return outcome;
}

std::string real_photos() {
  const char* folder = std::getenv("FACEPOISON_REAL_PHOTOS");
  return folder && fs::is_directory(folder) ? folder : "";
}

}  // namespace facepoison::testing
