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
  return how;
}

Json Augmentation::record() const {
  Json record = Json::object();
  for (const auto& [key, value] : keys) record[key] = this->*value;
  return record;
}

torch::Tensor augmented_views(const FeatureExtractor& extractor, const Faces& faces, const Augmentation& how, Seed seed,
                              std::int64_t step) {
  const torch::NoGradGuard no_grad;
  Stream stream(seed, "augment", std::to_string(step));
  auto generator = at::detail::createCPUGenerator(stream.bits());
  const auto n = faces.size();
  Faces other = faces;
  other.pixels = faces.pixels.to(torch::kFloat32).div(255);
  if (faces.landmarks.defined()) other.landmarks = moved(faces.landmarks, how, stream);
  auto views = relit(extractor.view(other), how, generator);
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
