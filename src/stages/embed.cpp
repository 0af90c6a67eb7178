#include <algorithm>

#include "facepoison/arrow.hpp"
#include "facepoison/error.hpp"
#include "facepoison/npy.hpp"
#include "facepoison/stages.hpp"
#include "facepoison/version.hpp"
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

struct HashedCrop : PhotoFile {
  std::string sha256;  // of the file
};

// A file that cannot be read is refused.
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

// What the recogniser looks at, or why there is nothing.
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

void write_crops(const Unit&, std::span<const EmbeddedCrop> made, const fs::path& at) {
  std::vector<torch::Tensor> features;
  Json refused = Json::array();
  for (const auto& crop : made) {
    if (crop.refused.empty()) features.push_back(crop.features);
    refused.push_back(crop.refused.empty() ? Json() : Json(crop.refused));
  }
  if (!features.empty()) write_unflushed(at / "features.npy", npy_bytes(torch::stack(features)));
  write_unflushed(at / "refused.json", refused.dump());
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
    for (const auto& [folder, count] : units_) {
      stop_if_interrupted();
      features.push_back(read_npy(folder / "features.npy"));
    }
    matrix_ = torch::cat(features);
  });
  return matrix_;
}

torch::Tensor Embedded::matrix_or(double number) const {
  const bool there = std::all_of(units_.begin(), units_.end(), [](const auto& unit) { return fs::exists(unit.first); });
  return there ? matrix() : torch::full({static_cast<std::int64_t>(rows_.size()), dimension_}, number);
}

std::vector<double> scores_of(const torch::Tensor& logits) {
  const auto scores = logits.to(torch::kFloat64).sigmoid().contiguous().view(-1);
  return {scores.data_ptr<double>(), scores.data_ptr<double>() + scores.numel()};
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
                          const RunOptions& options, ArtifactStore& store, std::vector<PhotoFile>& kept,
                          Table& rejected) {
  const auto crops = hashed(folder.photos, rejected);
  auto units = cut_by_person(crops, embed_block);
  const Json identity = extractor.identity();
  for (auto& unit : units) {
    unit.key = {{"format", 3},
                {"arithmetic", arithmetic(options.device)},
                {"extractor", identity},
                {"batch", {embed_block, piece_size}},
                {"opencv", opencv_version()},  // which decodes and resizes
                {"exif", exif == Exif::rotate},
                {"crops", Json::array()}};
    for (auto i = unit.first; i < unit.first + unit.count; ++i) unit.key["crops"].push_back(crops[i].sha256);
  }
  Arrow<std::vector<View>, EmbeddedCrop> arrow{"crops", concat("embed, ", extractor.card().name), embed_block};
  arrow.work = {identity, arithmetic(options.device)};
  arrow.decode = [&](const auto& rows) {
    std::vector<View> views;
    for (const auto row : rows) views.push_back(view_of(crops[row], exif, extractor.card()));
    return views;
  };
  arrow.make = [&](const auto& rows, std::vector<View> views) {
    return embed_views(extractor, options, crops, rows, views);
  };
  arrow.write = write_crops;
  const auto folders = arrow.follow(units, store);
  std::vector<torch::Tensor> features;
  for (std::size_t u = 0; u < units.size(); ++u) {
    stop_if_interrupted();
    const Json reasons = read_json(folders[u] / "refused.json");
    if (fs::exists(folders[u] / "features.npy")) features.push_back(read_npy(folders[u] / "features.npy"));
    for (std::size_t n = 0; n < units[u].count; ++n) {
      const auto& photo = crops[units[u].first + n];
      if (reasons[n].is_null())
        kept.push_back(photo);
      else
        rejected.add({photo.id, photo.person, reasons[n].get<std::string>()});
    }
  }
  return features.empty() ? torch::empty({0, extractor.card().dimension}) : torch::cat(features);
}

}  // namespace facepoison
