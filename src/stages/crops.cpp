// The stage that embeds a plain folder of crops.
#include <algorithm>

#include "facepoison/embeddings.hpp"
#include "facepoison/error.hpp"
#include "facepoison/interrupt.hpp"
#include "facepoison/npy.hpp"
#include "facepoison/version.hpp"
#include "stages/blocks.hpp"
#include "stages/embed_batch.hpp"

namespace facepoison {

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

namespace {

struct HashedCrop : PhotoFile {
  std::string sha256;  // of the file
};

// Hashes the files; a file that cannot be read is rejected.
std::vector<HashedCrop> hashed(const std::vector<PhotoFile>& photos, Table& rejected) {
  std::vector<HashedCrop> crops;
  for (const auto& photo : photos) {
    stop_if_interrupted();
    try {
      crops.push_back({photo, sha256_of_file(photo.path)});
    } catch (const Error& error) {
      rejected.add({photo.id, photo.person, error.what()});
    }
  }
  return crops;
}

// The recogniser's view of a crop, or why it was refused.
struct View {
  torch::Tensor pixels;
  std::string refused;
};

View view_of(const HashedCrop& crop, Exif exif, const Card& card) {
  const std::string bytes = read_file(crop.path);
  if (sha256(bytes) != crop.sha256)
    throw Error(Exit::input, concat(crop.path.string(), " was changed while it was read; run the command again"));
  try {
    return {view_under(card, decode_image(bytes, exif)), ""};
  } catch (const Error& error) {
    if (error.code() != Exit::input) throw;
    return {{}, error.what()};
  }
}

struct EmbeddedCrop {
  torch::Tensor features;  // none where it was refused
  std::string refused;
};

std::vector<EmbeddedCrop> embed_views(const FeatureExtractor& extractor, const RunOptions& options,
                                      const std::vector<HashedCrop>& crops, const std::vector<std::size_t>& rows,
                                      const std::vector<View>& views) {
  std::vector<torch::Tensor> usable;
  std::vector<std::string> ids;
  for (std::size_t n = 0; n < rows.size(); ++n) {
    if (!views[n].refused.empty()) continue;
    usable.push_back(views[n].pixels);
    ids.push_back(crops[rows[n]].id);
  }
  std::vector<torch::Tensor> features;
  if (!usable.empty()) {
    const auto whole = padded(usable.size(), embed_block, options.device);
    usable.resize(whole, usable.back());
    const auto batch = torch::cat(usable);
    features = embed_batch(extractor, options, ids, whole, [&](std::size_t first, std::size_t count) {
      const auto at = static_cast<std::int64_t>(first), end = static_cast<std::int64_t>(first + count);
      return extractor.embed_view(batch.slice(0, at, end).to(options.device));
    });
  }
  std::vector<EmbeddedCrop> made;
  auto next = features.begin();
  for (const auto& view : views) made.push_back({view.refused.empty() ? *next++ : torch::Tensor(), view.refused});
  return made;
}

class CropStage final : public StageOf<std::vector<View>, EmbeddedCrop> {
 public:
  CropStage(std::vector<HashedCrop> crops, Exif exif, const FeatureExtractor& extractor, const RunOptions& options)
      : StageOf("crops", concat("embed, ", extractor.card().name), embed_block),
        crops_(std::move(crops)),
        exif_(exif),
        extractor_(extractor),
        identity_(extractor.identity()),
        options_(options) {
    add_units_by_person(crops_, embed_block);
  }

  Json work() const override { return {identity_, arithmetic(options_)}; }

  Json key(const Unit& unit) const override {
    Json key = {{"format", 3},
                {"arithmetic", arithmetic(options_)},
                {"extractor", identity_},
                {"batch", {embed_block, piece_size}},
                {"opencv", opencv_version()},  // decodes and resizes
                {"exif", exif_ == Exif::rotate},
                {"crops", Json::array()}};
    for (auto i = unit.first; i < unit.first + unit.count; ++i) key["crops"].push_back(crops_[i].sha256);
    return key;
  }

  // Appends each crop to `kept`, or to `rejected` with the reason. Returns the embeddings of the kept ones.
  torch::Tensor read(const ArtifactStore& store, std::vector<PhotoFile>& kept, Table& rejected) const {
    std::vector<torch::Tensor> features = {torch::empty({0, extractor_.card().dimension})};
    for (const auto& unit : units()) {
      stop_if_interrupted();
      const auto folder = store.path(unit.id);
      const Json reasons = read_json(folder / "refused.json");
      if (fs::exists(folder / "features.npy")) features.push_back(read_npy(folder / "features.npy"));
      for (std::size_t n = 0; n < unit.count; ++n) {
        const auto& photo = crops_[unit.first + n];
        if (reasons[n].is_null())
          kept.push_back(photo);
        else
          rejected.add({photo.id, photo.person, reasons[n].get<std::string>()});
      }
    }
    return torch::cat(features);
  }

 private:
  std::vector<View> decode_rows(const Rows& rows) const override {
    std::vector<View> views;
    for (const auto row : rows) views.push_back(view_of(crops_[row], exif_, extractor_.card()));
    return views;
  }

  std::vector<EmbeddedCrop> compute_rows(const Rows& rows, std::vector<View> views) override {
    return embed_views(extractor_, options_, crops_, rows, views);
  }

  void write_unit(const Unit&, std::span<const EmbeddedCrop> made, const fs::path& folder) const override {
    std::vector<torch::Tensor> features;
    Json refused = Json::array();
    for (const auto& crop : made) {
      if (crop.refused.empty()) features.push_back(crop.features);
      refused.push_back(crop.refused.empty() ? Json() : Json(crop.refused));
    }
    if (!features.empty()) write_unflushed(folder / "features.npy", npy_bytes(torch::stack(features)));
    write_unflushed(folder / "refused.json", refused.dump());
  }

  std::vector<HashedCrop> crops_;
  Exif exif_;
  const FeatureExtractor& extractor_;
  Json identity_;
  RunOptions options_;
};

}  // namespace

torch::Tensor embed_crops(const PhotoFolder& folder, Exif exif, const FeatureExtractor& extractor,
                          const RunOptions& options, ArtifactStore& store, std::vector<PhotoFile>& kept,
                          Table& rejected) {
  const auto stage = std::make_shared<CropStage>(hashed(folder.photos, rejected), exif, extractor, options);
  Executor(store).run(stage);
  return stage->read(store, kept, rejected);
}

}  // namespace facepoison
