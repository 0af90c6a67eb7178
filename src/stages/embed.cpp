#include <algorithm>

#include "facepoison/arrow.hpp"
#include "facepoison/error.hpp"
#include "facepoison/npy.hpp"
#include "facepoison/stages.hpp"
#include "stages/blocks.hpp"

namespace facepoison {
namespace {

constexpr std::size_t block_size = 32;

Json key_of(std::span<const Photo> photos, const Json& extractor, const RunOptions& options) {
  Json seen = Json::array();
  for (const auto& photo : photos) seen.push_back(content_key(photo));
  return {{"format", 2},
          {"arithmetic", arithmetic(options.device)},
          {"extractor", extractor},
          {"batch", block_size},
          {"photos", seen}};
}

// The first `ids.size()` rows of a padded block's embeddings.
torch::Tensor checked(const torch::Tensor& padded, const std::vector<std::string>& ids,
                      const FeatureExtractor& extractor) {
  const auto features = padded.to(torch::kCPU).narrow(0, 0, static_cast<std::int64_t>(ids.size()));
  const auto finite = features.isfinite().all(1);
  for (std::size_t n = 0; n < ids.size(); ++n)
    if (!finite[static_cast<std::int64_t>(n)].item<bool>())
      throw Error(Exit::model, concat(extractor.card().name, " gives a non-finite embedding for photo ", ids[n]));
  return features;
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
  auto units = cut_by_person(photos, block_size);
  const Json identity = extractor.identity();
  for (auto& unit : units) {
    const auto own = photos.subspan(unit.first, unit.count);
    unit.key = key_of(own, identity, options);
    if (store.planning()) unit.needs = made_in(own, store);
  }
  Arrow<Faces, torch::Tensor> arrow{"embedded", concat("embed, ", extractor.card().name), block_size};
  arrow.work = {identity, arithmetic(options.device)};
  arrow.decode = [&](const auto& rows) { return pad(load_faces(chosen(photos, rows)), block_size); };
  arrow.make = [&](const auto& rows, Faces faces) {
    const c10::InferenceMode inference;
    faces.ids.resize(rows.size());
    return checked(extractor.embed(faces.to(options.device)), faces.ids, extractor).unbind();
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
    while (views.size() < block_size) views.push_back(views.back());
    rows.push_back(checked(extractor.embed_view(torch::cat(views)), ids, extractor));
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
    if (views.size() == block_size) finish_block();
    progress.advance(1);
  }
  finish_block();
  return rows.empty() ? torch::empty({0, extractor.card().dimension}) : torch::cat(rows);
}

}  // namespace facepoison
