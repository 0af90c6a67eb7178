#include "facepoison/extractor.hpp"

#include <cmath>

#include "facepoison/error.hpp"

namespace facepoison {
namespace {

// Where the landmarks lie in a network's input, or nothing if it takes whole pictures. A template is a square of
// the input's height; a narrower input loses columns at both sides.
std::optional<Landmarks> target_of(const Card& card) {
  auto target = template_landmarks(card.template_name, card.height);
  if (target)
    for (auto& point : *target) point.x += (card.width - card.height) / 2.0;
  return target;
}

// For each photo, the similarity from its canvas to the network's input.
std::vector<Similarity> ways_to(const Landmarks& target, const Faces& faces) {
  const auto landmarks = faces.landmarks.to(torch::kCPU).contiguous();
  const auto points = landmarks.accessor<double, 3>();
  std::vector<Similarity> ways;
  for (std::int64_t n = 0; n < faces.size(); ++n) {
    Landmarks from;
    for (std::int64_t i = 0; i < 5; ++i) from[static_cast<std::size_t>(i)] = {points[n][i][0], points[n][i][1]};
    ways.push_back(fit_similarity(from, target));
  }
  return ways;
}

// For each photo, where in the canvas each pixel of the network's input lies: N×height×width×2 in grid_sample's units.
torch::Tensor sampling_grid(const Faces& faces, const Landmarks& target, const Card& card) {
  const auto ways = ways_to(target, faces);
  auto maps = torch::empty({faces.size(), 2, 3}, torch::kFloat64);
  auto map = maps.accessor<double, 3>();
  const double w = static_cast<double>(faces.pixels.size(3) - 1), h = static_cast<double>(faces.pixels.size(2) - 1);
  for (std::int64_t n = 0; n < faces.size(); ++n) {
    const Similarity s = ways[static_cast<std::size_t>(n)].inverse();
    // align_corners: −1 and 1 are the centres of the first and the last pixel.
    map[n][0][0] = 2 * s.a / w, map[n][0][1] = -2 * s.b / w, map[n][0][2] = 2 * s.tx / w - 1;
    map[n][1][0] = 2 * s.b / h, map[n][1][1] = 2 * s.a / h, map[n][1][2] = 2 * s.ty / h - 1;
  }
  const auto mesh = torch::meshgrid(
      {torch::arange(card.height, torch::kFloat64), torch::arange(card.width, torch::kFloat64)}, "ij");  // y, x
  const auto positions = torch::stack({mesh[1], mesh[0], torch::ones_like(mesh[0])}, -1).view({-1, 3});
  return positions.matmul(maps.transpose(1, 2))
      .view({faces.size(), card.height, card.width, 2})
      .to(faces.pixels.options());
}

torch::Tensor resize(const torch::Tensor& pixels, std::int64_t height, std::int64_t width, const Card& card) {
  if (pixels.size(2) == height && pixels.size(3) == width) return pixels;
  const std::vector<std::int64_t> size = {height, width};
  if (card.interpolation == Interpolation::nearest) return at::upsample_nearest2d(pixels, size);
  // Bicubic overshoots; PIL and OpenCV clip their results.
  if (card.interpolation == Interpolation::bicubic)
    return (card.antialias ? at::_upsample_bicubic2d_aa(pixels, size, false)
                           : at::upsample_bicubic2d(pixels, size, false))
        .clamp(0, 1);
  return card.antialias ? at::_upsample_bilinear2d_aa(pixels, size, false)
                        : at::upsample_bilinear2d(pixels, size, false);
}

// The size to which a whole picture is resized: the input's, or the smallest of its own shape that covers the input.
struct Size {
  std::int64_t height, width;
};

Size plain_size(const Card& card, Size picture) {
  if (card.resize == Resize::squash) return {card.height, card.width};
  if (picture.height * card.width <= picture.width * card.height)
    return {card.height, card.height * picture.width / picture.height};
  return {card.width * picture.height / picture.width, card.width};
}

// The middle part. Half pixels are rounded to even, as by torchvision's centre crop.
torch::Tensor middle(const torch::Tensor& pixels, const Card& card) {
  const auto start = [&](int axis, int size) { return std::lrint(static_cast<double>(pixels.size(axis) - size) / 2); };
  return pixels.narrow(2, start(2, card.height), card.height).narrow(3, start(3, card.width), card.width);
}

// A view as the network receives it: channel order and scaling as on the card.
torch::Tensor prepared_under(const Card& card, const torch::Tensor& view) {
  const auto options = torch::TensorOptions(torch::kFloat32).device(view.device());
  const auto mean = torch::tensor({card.mean[0], card.mean[1], card.mean[2]}, options).view({1, 3, 1, 1});
  const auto std = torch::tensor({card.std[0], card.std[1], card.std[2]}, options).view({1, 3, 1, 1});
  return (((card.bgr ? view.flip(1) : view) * card.scale - mean) / std).contiguous(torch::MemoryFormat::ChannelsLast);
}

}  // namespace

torch::Tensor view_under(const Card& card, const Faces& faces) {
  const auto target = target_of(card);
  if (!faces.landmarks.defined() || !target) {
    const auto size = plain_size(card, {faces.pixels.size(2), faces.pixels.size(3)});
    return middle(resize(faces.pixels, size.height, size.width, card), card);
  }
  const auto mode = card.interpolation == Interpolation::bilinear  ? 0
                    : card.interpolation == Interpolation::nearest ? 1
                                                                   : 2;
  return at::grid_sampler(faces.pixels, sampling_grid(faces, *target, card), mode, /*zeros outside*/ 0,
                          /*align_corners*/ true);
}

// Without a template the whole canvas, a square, is resized, so all of it is seen.
torch::Tensor seen_under(const Card& card, const Faces& faces) {
  const auto options = torch::TensorOptions(torch::kFloat32).device(faces.pixels.device());
  const auto height = faces.pixels.size(2), width = faces.pixels.size(3);
  const auto target = target_of(card);
  if (!faces.landmarks.defined() || !target) return torch::ones({faces.size(), 1, height, width}, options);
  const auto x = torch::arange(width, options).view({1, -1}), y = torch::arange(height, options).view({-1, 1});
  const auto inside = [](const torch::Tensor& place, int size) {
    return (place > -0.5).logical_and(place < size - 0.5);
  };
  std::vector<torch::Tensor> seen;
  for (const Similarity& way : ways_to(*target, faces))
    seen.push_back(inside(way.a * x - way.b * y + way.tx, card.width)
                       .logical_and(inside(way.b * x + way.a * y + way.ty, card.height)));
  return torch::stack(seen).unsqueeze(1).to(options);
}

torch::Tensor view_under(const Card& card, const Image& picture) {
  const auto size = plain_size(card, {picture.height, picture.width});
  const auto resized = resample_image(picture, static_cast<int>(size.width), static_cast<int>(size.height),
                                      card.interpolation, card.antialias);
  return middle(to_tensor(resized), card);
}

torch::Tensor FeatureExtractor::embed_view_as(const Card& contract, const torch::Tensor& view) const {
  const auto prepared = prepared_under(contract, view);
  return contract.flip_averaging ? (forward(prepared) + forward(prepared.flip(3))) / 2 : forward(prepared);
}

torch::Tensor FeatureExtractor::embed_view(const torch::Tensor& view) const {
  const auto made = embed_view_as(card_, view);
  const auto embedding = card_.task == Task::purifier && made.dim() == 4 ? made.flatten(1) : made;
  if (embedding.dim() != 2 || embedding.size(0) != view.size(0) || embedding.size(1) != card_.dimension)
    throw Error(Exit::model, concat(card_.name, ": the network returned the shape ", embedding.sizes(), " for ",
                                    view.size(0), " faces; its card says ", view.size(0), "×", card_.dimension));
  return embedding;
}

bool same_weights(const FeatureExtractor& a, const FeatureExtractor& b) {
  const auto& origin = a.card().origin;
  return a.identity().at("weights") == b.identity().at("weights") ||
         (!origin.empty() && same_digest(origin, b.card().origin));
}

torch::Tensor golden_picture(int height, int width) {
  const auto tri = [](int t) { return t % 256 < 128 ? 2 * (t % 256) : 511 - 2 * (t % 256); };
  auto picture = torch::empty({1, 3, height, width});
  auto at = picture.accessor<float, 4>();
  for (int c = 0; c < 3; ++c)
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x)
        at[0][c][y][x] =
            static_cast<float>(
                (tri(x * (3 + c) + y * 5) + tri(y * (4 + c) - x * 2 + 1000) + tri(x * y / (7 + c) + c * 40)) / 3) /
            255.0f;
  return picture;
}

}  // namespace facepoison
