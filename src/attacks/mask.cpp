#include "attacks/mask.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "facepoison/dssim.hpp"

namespace facepoison {
namespace {

// The photos with the mask; differentiable.
Faces with_mask(Faces photos, const torch::Tensor& mask) {
  photos.pixels = (photos.pixels + mask).clamp(0, 1);
  return photos;
}

std::vector<std::int64_t> all_rows(const Faces& photos) {
  std::vector<std::int64_t> rows(photos.ids.size());
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

torch::Tensor index_of_rows(const std::vector<std::int64_t>& rows, torch::Device device) {
  return torch::tensor(rows, torch::kInt64).to(device);
}

}  // namespace

MaskAttack::MaskAttack(AttackSettings settings, double epsilon)
    : Attack(std::move(settings)), epsilon_(std::floor(epsilon * 255 + 1e-6) / 255) {}

std::vector<MaskAttack::Rows> MaskAttack::in_batches(const Rows& rows, std::size_t size) {
  std::vector<Rows> batches;
  for (std::size_t first = 0; first < rows.size(); first += size) {
    const auto end = std::min(rows.size(), first + size);
    batches.emplace_back(rows.begin() + static_cast<std::ptrdiff_t>(first),
                         rows.begin() + static_cast<std::ptrdiff_t>(end));
  }
  return batches;
}

Faces MaskAttack::some_of(const Faces& photos, const Rows& rows) {
  const auto index = index_of_rows(rows, photos.pixels.device());
  Faces some{photos.pixels.index_select(0, index), {}, {}, {}};
  if (photos.landmarks.defined()) some.landmarks = photos.landmarks.index_select(0, index);
  for (const auto row : rows) {
    some.ids.push_back(photos.ids[static_cast<std::size_t>(row)]);
    some.people.push_back(photos.people[static_cast<std::size_t>(row)]);
  }
  return some;
}

torch::Tensor MaskAttack::embed(std::size_t surrogate, const Faces& photos) const {
  const auto raw = settings().surrogates[surrogate]->embed(photos);
  return raw / raw.norm(2, 1, true);
}

std::vector<torch::Tensor> MaskAttack::embed_all(const Faces& photos) const {
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> all;
  for (std::size_t s = 0; s < settings().surrogates.size(); ++s) {
    std::vector<torch::Tensor> parts;
    for (const auto& rows : in_batches(all_rows(photos), chunk)) parts.push_back(embed(s, some_of(photos, rows)));
    all.push_back(torch::cat(parts));
  }
  return all;
}

torch::Tensor MaskAttack::slope(const Faces& photos, const torch::Tensor& mask, const Loss& loss) const {
  const auto leaf = mask.detach().requires_grad_(true);
  auto sum = torch::zeros_like(mask);
  // More photos than a chunk: first the loss's slope in the embeddings, then that of each chunk's embeddings.
  const bool whole = photos.ids.size() <= chunk;
  const auto embeddings = whole ? std::vector<torch::Tensor>() : embed_all(with_mask(photos, mask));
  for (std::size_t s = 0; s < settings().surrogates.size(); ++s) {
    if (whole) {
      sum += gradient(loss(s, embed(s, with_mask(photos, leaf))), leaf);
      continue;
    }
    const auto outer = embeddings[s].detach().requires_grad_(true);
    const auto outer_slope = gradient(loss(s, outer), outer);
    for (const auto& rows : in_batches(all_rows(photos), chunk)) {
      const auto part = outer_slope.index_select(0, index_of_rows(rows, outer.device()));
      sum += gradient((embed(s, with_mask(some_of(photos, rows), leaf)) * part).sum(), leaf);
    }
  }
  return sum;
}

torch::Tensor MaskAttack::start(const Faces& photos, Seed seed, const std::string& purpose, double size) const {
  torch::Tensor seen;
  for (const auto& surrogate : settings().surrogates) {
    const auto area = seen_under(surrogate->card(), photos).amax(0);
    seen = seen.defined() ? torch::max(seen, area) : area;
  }
  size = std::min(size, epsilon_);
  // The stream is the person's, not a photo's.
  const Faces person{photos.pixels.narrow(0, 0, 1), {}, {""}, {photos.people.front()}};
  return uniform_noise(person, seed, purpose, -size, size)[0] * seen;
}

torch::Tensor MaskAttack::stepped(const torch::Tensor& mask, const torch::Tensor& slope, double step) const {
  return (mask - step * sign_of(slope)).clamp(-epsilon_, epsilon_);
}

torch::Tensor MaskAttack::learn(const Faces& photos, Seed seed, const std::string& purpose,
                                const Course& course) const {
  const auto clean = embed_all(photos);
  const auto windows = course.seen ? seen_windows(photos, settings().surrogates) : torch::Tensor();
  auto mask = start(photos, seed, purpose, course.start);
  auto order = all_rows(photos);
  Stream stream(seed, purpose + " order", photos.people.front());
  double weight = 1;
  for (std::int64_t epoch = 0; epoch < course.epochs; ++epoch) {
    if (course.shuffled) stream.shuffle(order);
    for (const auto& rows : in_batches(order, static_cast<std::size_t>(course.batch))) {
      const auto index = index_of_rows(rows, mask.device());
      const auto batch = some_of(photos, rows);
      auto down = slope(batch, mask, [&](std::size_t s, const torch::Tensor& masked) {
        return course.loss(clean[s].index_select(0, index), masked);
      });
      const auto leaf = mask.detach().requires_grad_(true);
      const auto distances = dssim(batch.pixels, with_mask(batch, leaf).pixels,
                                   windows.defined() ? windows.index_select(0, index) : windows);
      down += weight * gradient(course.penalty(distances), leaf);
      mask = stepped(mask, down, course.step);
      weight = penalty_weight(weight, distances.mean().item<double>(), course.low, course.high);
    }
  }
  return mask;
}

Attack::Found MaskAttack::run(const Faces& faces, const Faces& masks, Seed) const {
  return {with_mask(faces, masks.pixels).pixels};
}

torch::Tensor MaskAttack::own_measure(const Faces& faces, const Faces&, const torch::Tensor& pixels) const {
  Faces masked = faces;
  masked.pixels = pixels;
  const auto before = embed_all(faces), after = embed_all(masked);
  auto sum = torch::zeros({faces.size()}, pixels.options());
  for (std::size_t s = 0; s < before.size(); ++s) sum += 1 - (before[s] * after[s]).sum(1);
  return sum / static_cast<double>(before.size());
}

double penalty_weight(double weight, double distance, double low, double high) {
  constexpr double widest_weight = 129;
  if (distance <= low) return weight >= 1 / widest_weight ? weight / 2 : weight;
  if (distance >= high) return weight <= widest_weight ? 2 * weight : weight;
  return 1;
}

torch::Tensor closeness(const torch::Tensor& embeddings) {
  constexpr double small = 1e-4;
  // In double precision: the determinant of 16 similar embeddings is below float32's smallest number.
  const auto products = embeddings.matmul(embeddings.t()).to(torch::kCPU, torch::kFloat64);
  const auto matrix = products + small * torch::eye(products.size(0), products.options());
  return -(at::linalg_det(matrix) + small).log().to(embeddings.device(), embeddings.scalar_type());
}

}  // namespace facepoison
