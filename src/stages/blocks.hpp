// Shared by the stages over photos: selections, and batches of one size.
#pragma once
#include <ATen/Parallel.h>

#include <algorithm>

#include "facepoison/device.hpp"
#include "facepoison/pictures.hpp"

namespace facepoison {

inline std::vector<Photo> chosen(std::span<const Photo> photos, const std::vector<std::size_t>& rows) {
  std::vector<Photo> some;
  for (const auto row : rows) some.push_back(photos[row]);
  return some;
}

// On a CPU a batch is split into pieces of this many photos, one thread each (in_pieces()).
constexpr std::size_t piece_size = 4;

// How many rows are computed at once: on a CPU a piece for each thread, at least a block.
inline std::size_t batch_rows(std::size_t block, torch::Device device) {
  return device.is_cpu() ? std::max(block, piece_size * static_cast<std::size_t>(at::get_num_threads())) : block;
}

// The size of a batch for `rows` rows, with some repeated: a network rounds differently in a smaller batch. On a CPU
// the pieces have one size, elsewhere the whole batch.
inline std::size_t padded(std::size_t rows, std::size_t batch, torch::Device device) {
  return device.is_cpu() ? (rows + piece_size - 1) / piece_size * piece_size : batch;
}

// Repeats the last photo until there are `size`.
inline Faces pad(Faces faces, std::size_t size) {
  const auto missing = static_cast<std::int64_t>(size) - faces.size();
  if (missing <= 0) return faces;
  const auto index = torch::cat({torch::arange(faces.size()), torch::full({missing}, faces.size() - 1, torch::kInt64)});
  faces.pixels = faces.pixels.index_select(0, index);
  if (faces.landmarks.defined()) faces.landmarks = faces.landmarks.index_select(0, index);
  faces.ids.resize(size, faces.ids.back());
  faces.people.resize(size, faces.people.back());
  return faces;
}

// Some of the faces; none if there are none.
inline Faces part(const Faces& faces, std::size_t first, std::size_t count) {
  if (faces.ids.empty()) return faces;
  const auto at = static_cast<std::ptrdiff_t>(first), end = at + static_cast<std::ptrdiff_t>(count);
  Faces some{faces.pixels.slice(0, at, end),
             {},
             {faces.ids.begin() + at, faces.ids.begin() + end},
             {faces.people.begin() + at, faces.people.begin() + end}};
  if (faces.landmarks.defined()) some.landmarks = faces.landmarks.slice(0, at, end);
  return some;
}

}  // namespace facepoison
