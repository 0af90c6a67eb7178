#include <algorithm>

#include "facepoison/arrow.hpp"
#include "facepoison/error.hpp"
#include "facepoison/npy.hpp"
#include "facepoison/stages.hpp"
#include "stages/blocks.hpp"

namespace facepoison {
namespace {

constexpr std::size_t embed_block = 32;

Json key_of(std::span<const Photo> photos, const Json& extractor, const RunOptions& options) {
  Json seen = Json::array();
  for (const auto& photo : photos) seen.push_back(content_key(photo));
  return {{"format", 3},
          {"arithmetic", arithmetic(options.device)},
          {"extractor", extractor},
          {"batch", {embed_block, piece_size}},
          {"photos", seen}};
}

// Embeddings of a padded batch's first `rows` rows, each a tensor of its own.
std::vector<torch::Tensor> embed_batch(const FeatureExtractor& extractor, const RunOptions& options,
                                       const std::vector<std::string>& ids, std::size_t padded_rows,
                                       const std::function<torch::Tensor(std::size_t, std::size_t)>& embed) {
  std::vector<torch::Tensor> made(padded_rows);
  in_pieces(options.device, padded_rows, piece_size, [&](std::size_t first, std::size_t count) {
    const c10::InferenceMode inference;
    const auto features = embed(first, count).to(torch::kCPU).unbind();
    std::copy(features.begin(), features.end(), made.begin() + static_cast<std::ptrdiff_t>(first));
  });
  made.resize(ids.size());
  for (std::size_t n = 0; n < made.size(); ++n)
    if (!made[n].isfinite().all().item<bool>())
      throw Error(Exit::model, concat(extractor.card().name, " gives a non-finite embedding for photo ", ids[n]));
  return made;
}

}  // namespace

Embedded::Embedded(std::vector<std::pair<fs::path, std::size_t>> units, std::int64_t dimension)
    : units_(std::move(units)), dimension_(dimension) {
  for (std::size_t u = 0; u < units_.size(); ++u)
    for (std::size_t n = 0; n < units_[u].second; ++n) rows_.emplace_back(u, n);
}

const torch::Tensor& Embedded::matrix() const {
  std::call_once(once_, [&] {
    std::vector<torch::Tensor> features = {torch::empty({0, dimension_})};
    for (const auto& [folder, count] : units_) features.push_back(read_npy(folder / "features.npy"));
    matrix_ = torch::cat(features);
  });
  return matrix_;
}

torch::Tensor Embedded::matrix_or_zeros() const {
  const bool there = std::all_of(units_.begin(), units_.end(), [](const auto& unit) { return fs::exists(unit.first); });
  return there ? matrix() : torch::zeros({static_cast<std::int64_t>(rows_.size()), dimension_});
}

std::shared_ptr<const Embedded> embedded(std::span<const Photo> photos, const FeatureExtractor& extractor,
                                         const RunOptions& options, ArtifactStore& store) {
  auto units = cut_by_person(photos, embed_block);
  const Json identity = extractor.identity();
  for (auto& unit : units) {
    const auto own = photos.subspan(unit.first, unit.count);
    unit.key = key_of(own, identity, options);
    if (store.planning()) unit.needs = made_in(own, store);
  }
  Arrow<Faces, torch::Tensor> arrow{"embedded", concat("embed, ", extractor.card().name), embed_block};
  arrow.work = {identity, arithmetic(options.device)};
  arrow.decode = [&](const auto& rows) {
    return pad(load_faces(chosen(photos, rows)), padded(rows.size(), embed_block, options.device));
  };
  arrow.make = [&](const auto& rows, Faces faces) {
    const std::vector<std::string> ids(faces.ids.begin(), faces.ids.begin() + static_cast<std::ptrdiff_t>(rows.size()));
    return embed_batch(extractor, options, ids, faces.ids.size(), [&](std::size_t first, std::size_t count) {
      return extractor.embed(part(faces, first, count).to(options.device));
    });
  };
  arrow.write = [](const Unit&, std::span<const torch::Tensor> rows, const fs::path& at) {
    write_unflushed(at / "features.npy", npy_bytes(torch::stack(torch::TensorList(rows.data(), rows.size()))));
  };
  const auto folders = arrow.follow(units, store);
  std::vector<std::pair<fs::path, std::size_t>> held;
  for (std::size_t u = 0; u < units.size(); ++u) held.emplace_back(folders[u], units[u].count);
  return std::make_shared<Embedded>(std::move(held), extractor.card().dimension);
}

torch::Tensor embed(std::span<const Photo> photos, const FeatureExtractor& extractor, const RunOptions& options,
                    ArtifactStore& store) {
  return embedded(photos, extractor, options, store)->matrix();
}

torch::Tensor embed_crops(const PhotoFolder& folder, Exif exif, const FeatureExtractor& extractor,
                          const RunOptions& options, std::vector<PhotoFile>& kept, Table& rejected) {
  const c10::InferenceMode inference;
  Progress progress(concat("embed, ", extractor.card().name), folder.photos.size());
  std::vector<torch::Tensor> rows, views;
  std::vector<std::string> ids;  // of the block under way
  const auto finish_block = [&] {
    if (views.empty()) return;
    const auto whole = padded(views.size(), embed_block, options.device);
    while (views.size() < whole) views.push_back(views.back());
    const auto batch = torch::cat(views);
    const auto made = embed_batch(extractor, options, ids, whole, [&](std::size_t first, std::size_t count) {
      return extractor.embed_view(
          batch.slice(0, static_cast<std::int64_t>(first), static_cast<std::int64_t>(first + count)));
    });
    rows.push_back(torch::stack(made));
    views.clear();
    ids.clear();
  };
  for (const auto& photo : folder.photos) {
    stop_if_interrupted();
    try {
      views.push_back(view_under(extractor.card(), decode_image(read_file(photo.path), exif)).to(options.device));
      ids.push_back(photo.id);
      kept.push_back(photo);
    } catch (const Error& error) {
      if (error.code() != Exit::input) throw;
      rejected.add({photo.id, photo.person, error.what()});
    }
    if (views.size() == embed_block) finish_block();
    progress.advance(1);
  }
  finish_block();
  return rows.empty() ? torch::empty({0, extractor.card().dimension}) : torch::cat(rows);
}

}  // namespace facepoison
