#include <future>

#include "facepoison/error.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/log.hpp"
#include "facepoison/npy.hpp"
#include "facepoison/stages.hpp"
#include "facepoison/version.hpp"
#include "stages/blocks.hpp"

namespace facepoison {
namespace {

constexpr std::size_t block_size = 32;

Json key_of(std::span<const Photo> photos, const FeatureExtractor& extractor) {
  Json seen = Json::array();
  for (const auto& photo : photos) seen.push_back(content_key(photo));
  return {{"format", 1}, {"libtorch", libtorch_version()}, {"extractor", extractor.identity()}, {"batch", block_size}, {"photos", seen}};
}

// The first `ids.size()` rows of a padded block's embeddings.
torch::Tensor checked(const torch::Tensor& padded, const std::vector<std::string>& ids, const FeatureExtractor& extractor) {
  const auto features = padded.to(torch::kCPU).narrow(0, 0, static_cast<std::int64_t>(ids.size()));
  const auto finite = features.isfinite().all(1);
  for (std::size_t n = 0; n < ids.size(); ++n)
    if (!finite[static_cast<std::int64_t>(n)].item<bool>()) throw Error(Exit::model, concat(extractor.card().name, " gives a non-finite embedding for photo ", ids[n]));
  return features;
}

std::vector<std::string> ids_of(std::span<const Photo> photos) {
  std::vector<std::string> ids;
  for (const auto& photo : photos) ids.push_back(photo.id);
  return ids;
}

}  // namespace

torch::Tensor embed(std::span<const Photo> photos, const FeatureExtractor& extractor, const RunOptions& options, ArtifactStore& store) {
  const auto blocks = cut(photos, block_size);
  std::vector<Json> keys;
  for (const auto& block : blocks) keys.push_back(key_of(block, extractor));

  // The next missing block is decoded while the network works on this one. By then another process may have made it:
  // what was decoded is used for its own block only.
  std::future<Faces> next;
  std::size_t next_block = 0;
  auto decode_from = [&](std::size_t b) {
    while (b < blocks.size() && store.has("embedded", keys[b])) ++b;
    next_block = b;
    if (b < blocks.size()) next = std::async(std::launch::async, [block = blocks[b]] { return pad(load_faces(block), block_size); });
  };
  decode_from(0);
  Progress progress(concat("embed, ", extractor.card().name), photos.size());
  std::vector<torch::Tensor> rows;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    stop_if_interrupted();
    const auto made = store.misses();
    const auto folder = store.get_or_make("embedded", keys[b], [&](const fs::path& at) {
      const Faces faces = next.valid() && next_block == b ? next.get() : pad(load_faces(blocks[b]), block_size);
      decode_from(b + 1);
      const c10::InferenceMode inference;
      write_npy(at / "features.npy", checked(extractor.embed(faces.to(options.device)), ids_of(blocks[b]), extractor));
    });
    rows.push_back(read_npy(folder / "features.npy"));
    progress.advance(blocks[b].size(), store.misses() == made);
  }
  return rows.empty() ? torch::empty({0, extractor.card().dimension}) : torch::cat(rows);
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
