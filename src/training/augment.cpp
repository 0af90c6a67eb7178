// Plasma, channel shuffle and the worst of several draws are after UEraser (Qin et al. 2023), as lafeat/apbench has it
// (defense/ueraser.py, train.py): plasma brightness and contrast of every photo, of a roughness from 0.3 to 0.7 and an
// intensity from 0.5 to 1; shuffled channels of half of the photos; the worst of 5 draws of each. Deviations: a plasma
// is the same in all channels, and a sum of enlarged random grids, not a diamond-square fractal; the other
// augmentations here stand for TrivialAugment; the worst draw is chosen in evaluation mode (see batches.cpp).
#include <cmath>
#include <utility>

#include "facepoison/augmentation.hpp"
#include "facepoison/blur.hpp"

namespace facepoison {
namespace {

using Generator = at::Generator;

constexpr std::pair<const char*, double Augmentation::*> keys[] = {
    {"flip", &Augmentation::flip},   {"scale", &Augmentation::scale}, {"rotate", &Augmentation::rotate},
    {"shift", &Augmentation::shift}, {"light", &Augmentation::light}, {"colour", &Augmentation::colour},
    {"grey", &Augmentation::grey},   {"blur", &Augmentation::blur},   {"noise", &Augmentation::noise},
    {"jpeg", &Augmentation::jpeg},   {"erase", &Augmentation::erase}};

constexpr std::pair<const char*, double Augmentation::*> keys_of_ueraser[] = {
    {"plasma", &Augmentation::plasma}, {"channel_shuffle", &Augmentation::channel_shuffle}};

torch::Tensor normal(std::int64_t n, Generator& generator) { return torch::randn({n, 1, 1, 1}, generator); }
torch::Tensor chance(std::int64_t n, double share, Generator& generator) {
  return torch::rand({n, 1, 1, 1}, generator) < share;
}

// Moves the landmarks so that the same warp gives another crop: by a random similarity about their middle, per photo.
torch::Tensor moved(const torch::Tensor& landmarks, const Augmentation& how, Stream& stream) {
  auto result = landmarks.clone();
  auto points = result.accessor<double, 3>();
  const auto gauss = [&](double sigma) {  // Box and Muller; std::normal_distribution differs between libraries
    return sigma * std::sqrt(-2 * std::log(1 - stream.uniform())) * std::cos(2 * M_PI * stream.uniform());
  };
  for (std::int64_t n = 0; n < points.size(0); ++n) {
    double x = 0, y = 0, reach = 0;
    for (int i = 0; i < 5; ++i) x += points[n][i][0] / 5, y += points[n][i][1] / 5;
    for (int i = 0; i < 5; ++i) reach += std::hypot(points[n][i][0] - x, points[n][i][1] - y) / 5;
    const double side = 4 * reach;  // about the side of a crop
    const double scale = std::exp(gauss(how.scale)), angle = gauss(how.rotate);
    const double c = scale * std::cos(angle), s = scale * std::sin(angle), dx = gauss(how.shift) * side,
                 dy = gauss(how.shift) * side;
    for (int i = 0; i < 5; ++i) {
      const double u = points[n][i][0] - x, v = points[n][i][1] - y;
      points[n][i][0] = x + c * u - s * v + dx;
      points[n][i][1] = y + s * u + c * v + dy;
    }
  }
  return result;
}

torch::Tensor relit(torch::Tensor views, const Augmentation& how, Generator& generator) {
  const auto n = views.size(0);
  const auto brightness = (how.light * normal(n, generator)).exp(), contrast = (how.light * normal(n, generator)).exp();
  const auto gains = (how.colour * torch::randn({n, 3, 1, 1}, generator)).exp(),
             saturation = (3 * how.colour * normal(n, generator)).exp();
  const auto middle = views.mean({1, 2, 3}, true);
  views = ((views - middle) * contrast + middle) * brightness * gains;
  const auto grey = (views * torch::tensor({0.299f, 0.587f, 0.114f}).view({1, 3, 1, 1})).sum(1, true);
  return grey + (views - grey) * torch::where(chance(n, how.grey, generator), torch::zeros({}), saturation);
}

// Smooth noise, N×1×height×width: random grids of 2, 3, 5, 9 … points a side, enlarged and added; each is `roughness`
// (N×1×1×1) times as high as the grid before. A photo's extremes are 0 and 1.
torch::Tensor plasma(const torch::Tensor& roughness, std::int64_t height, std::int64_t width, Generator& generator) {
  const auto n = roughness.size(0);
  auto sum = torch::zeros({n, 1, height, width}), amplitude = torch::ones({n, 1, 1, 1});
  for (std::int64_t points = 2; points <= std::max(height, width); points = 2 * points - 1) {
    const std::vector<std::int64_t> size = {height, width};
    const auto grid = torch::rand({n, 1, points, points}, generator);
    sum = sum + amplitude * at::upsample_bilinear2d(grid, size, /*align_corners=*/true);
    amplitude = amplitude * roughness;
  }
  const auto low = sum.amin({1, 2, 3}, true), high = sum.amax({1, 2, 3}, true);
  return (sum - low) / (high - low);
}

// Adds a plasma of −1 … 1 times the intensity, and multiplies the distance from middle grey by another of 0 … 4.
torch::Tensor unevenly_lit(torch::Tensor views, double share, Generator& generator) {
  const auto n = views.size(0), height = views.size(2), width = views.size(3);
  const auto rough = [&] { return 0.3 + 0.4 * torch::rand({n, 1, 1, 1}, generator); };
  const auto intensity = 0.5 + 0.5 * torch::rand({n, 1, 1, 1}, generator);
  auto lit = (views + intensity * (2 * plasma(rough(), height, width, generator) - 1)).clamp(0, 1);
  lit = ((lit - 0.5) * 4 * plasma(rough(), height, width, generator) + 0.5).clamp(0, 1);
  return torch::where(chance(n, share, generator), lit, views);
}

void shuffle_channels(torch::Tensor& views, double share, Stream& stream) {
  for (std::int64_t n = 0; n < views.size(0); ++n) {
    if (stream.uniform() >= share) continue;
    std::vector<std::int64_t> order = {0, 1, 2};
    stream.shuffle(order);
    views[n].copy_(views[n].index_select(0, torch::tensor(order)));
  }
}

void compress(torch::Tensor& views, double share, Stream& stream) {
  for (std::int64_t n = 0; n < views.size(0); ++n) {
    if (stream.uniform() >= share) continue;
    const auto bytes = encode_jpeg(to_image(views[n]), 30 + static_cast<int>(stream.below(66)));
    views[n].copy_(to_tensor(decode_image(bytes, Exif::ignore))[0]);
  }
}

void erase(torch::Tensor& views, double share, Stream& stream, Generator& generator) {
  const auto side = views.size(3);
  for (std::int64_t n = 0; n < views.size(0); ++n) {
    if (stream.uniform() >= share) continue;
    const double area = (0.02 + 0.14 * stream.uniform()) * static_cast<double>(side * side),
                 shape = std::exp(stream.uniform() - 0.5);
    const auto height = static_cast<std::int64_t>(std::sqrt(area * shape)),
               width = static_cast<std::int64_t>(std::sqrt(area / shape));
    const auto top = static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(side - height + 1)));
    const auto left = static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(side - width + 1)));
    views[n].narrow(1, top, height).narrow(2, left, width).copy_(torch::rand({3, height, width}, generator));
  }
}

}  // namespace

Augmentation Augmentation::from(Spec& spec) {
  Augmentation how;
  for (const auto& [key, value] : keys) how.*value = spec.number(key, 0, 1, how.*value);
  for (const auto& [key, value] : keys_of_ueraser) how.*value = spec.number(key, 0, 1, how.*value);
  how.worst_of = spec.integer("worst_of", 1, 100, how.worst_of);
  return how;
}

Json Augmentation::record() const {
  Json record = Json::object();
  for (const auto& [key, value] : keys) record[key] = this->*value;
  for (const auto& [key, value] : keys_of_ueraser)
    if (this->*value > 0) record[key] = this->*value;
  if (worst_of > 1) record["worst_of"] = worst_of;
  return record;
}

torch::Tensor augmented_views(const FeatureExtractor& extractor, const Faces& faces, const Augmentation& how, Seed seed,
                              std::int64_t step, std::int64_t draw) {
  const torch::NoGradGuard no_grad;
  Stream stream(seed, "augment", std::to_string(step), draw == 0 ? "" : std::to_string(draw));
  auto generator = at::detail::createCPUGenerator(stream.bits());
  const auto n = faces.size();
  Faces other = faces;
  other.pixels = faces.pixels.to(torch::kFloat32).div(255);
  if (faces.landmarks.defined()) other.landmarks = moved(faces.landmarks, how, stream);
  auto views = relit(extractor.view(other), how, generator);
  if (how.plasma > 0) views = unevenly_lit(views, how.plasma, generator);
  if (how.channel_shuffle > 0) shuffle_channels(views, how.channel_shuffle, stream);
  views = torch::where(chance(n, how.flip, generator), views.flip(3), views);
  views =
      torch::where(chance(n, how.blur, generator), gaussian_blur(views, 7, 0.3 + 1.2 * stream.uniform(), true), views);
  views =
      (views + how.noise * torch::rand({n, 1, 1, 1}, generator) * torch::randn(views.sizes(), generator)).clamp(0, 1);
  compress(views, how.jpeg, stream);
  erase(views, how.erase, stream, generator);
  return views;
}

}  // namespace facepoison
