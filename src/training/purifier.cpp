// Trains a purifier: a network P that gives a photo without its perturbation, P(x) = x − R(x).
//
// After PuFace (arXiv 2406.02253), which trains on amplified perturbations with losses of pictures and of embeddings,
// and LightShed (USENIX Security 2025), whose network gives the perturbation itself, and nothing for clean photos.
// Their weights, and PuFace's amplification, were not found, so this is our own design. For a photo x and its twin x +
// δ, of other people than the protected ones, the loss is
//   ‖P(x + aδ) − x‖ + λ Σ (1 − cos(f(P(x + aδ)), f(x))), and the same with δ = 0,
// with a ~ U(1, 2), the mean absolute difference, and the sum over extractors f.
#include "training/purifier.hpp"

namespace facepoison {
namespace {

constexpr std::int64_t pictures_at_once = 32;

// The photos of these rows, pixels in [0, 1].
Faces faces_in(const TrainingPhotos& known, const std::vector<std::int64_t>& rows) {
  auto faces = known.decoded->rows(rows);
  faces.pixels = faces.pixels.to(torch::kFloat32).div(255);
  return faces;
}

torch::Tensor purify(const Trainee& trainee, const torch::Tensor& pictures) {
  return trainee.embed_view(pictures).view_as(pictures);
}

Faces twice(const Faces& faces) {
  Faces both;
  both.pixels = torch::cat({faces.pixels, faces.pixels});
  if (faces.landmarks.defined()) both.landmarks = torch::cat({faces.landmarks, faces.landmarks});
  return both;
}

using ChangePictures = std::function<torch::Tensor(const torch::Tensor& pictures)>;

// The mean differences of a version's pictures, once changed, from the clean version that went through the same.
torch::Tensor differences_of_version(const TrainingConfig& c, const TrainingPhotos& known, std::int64_t version,
                                     std::int64_t clean_version, const ChangePictures& change) {
  torch::Tensor sum;
  for (std::int64_t first = 0; first < known.photos(); first += pictures_at_once) {
    std::vector<std::int64_t> rows, clean_rows;
    for (auto photo = first; photo < std::min(first + pictures_at_once, known.photos()); ++photo) {
      rows.push_back(known.row(version, photo));
      clean_rows.push_back(known.row(clean_version, photo));
    }
    const auto device = c.options.device;
    const auto pictures = faces_in(known, rows).pixels.to(device);
    const auto found = differences(change(pictures), faces_in(known, clean_rows).to(device), c.purification.features)
                           .to(torch::kCPU, torch::kFloat64)
                           .sum(1);
    sum = sum.defined() ? sum + found : found;
  }
  return sum / known.photos();
}

Purity purity_of(const TrainingConfig& c, const TrainingPhotos& known, const ChangePictures& change) {
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> photos, twins;
  for (std::int64_t version = 0; version < known.versions; ++version) {
    const bool is_clean = version < known.clean_versions;
    const auto clean = is_clean ? version : (version - known.clean_versions) % known.clean_versions;
    (is_clean ? photos : twins).push_back(differences_of_version(c, known, version, clean, change));
  }
  return {torch::stack(twins).mean(0), torch::stack(photos).mean(0)};
}

Json record_of_means(const torch::Tensor& means, const Surrogates& features) {
  Json record = {{"difference", means[0].item<double>()}};
  for (std::size_t m = 0; m < features.size(); ++m)
    record["cosine"][features[m]->card().name] = 1 - means[static_cast<std::int64_t>(m) + 1].item<double>();
  return record;
}

}  // namespace

torch::Tensor amplified(const torch::Tensor& photos, const torch::Tensor& twins, Seed seed, std::int64_t step) {
  Stream stream(seed, "amplify", std::to_string(step));
  std::vector<float> factors;
  for (std::int64_t n = 0; n < photos.size(0); ++n) factors.push_back(static_cast<float>(1 + stream.uniform()));
  return (photos + torch::tensor(factors).view({-1, 1, 1, 1}) * (twins - photos)).clamp(0, 1);
}

torch::Tensor differences(const torch::Tensor& pictures, const Faces& clean, const Surrogates& features) {
  std::vector<torch::Tensor> rows = {(pictures - clean.pixels).abs().mean({1, 2, 3})};
  Faces faces = clean;
  faces.pixels = pictures;
  for (const auto& extractor : features) {
    torch::Tensor wanted;
    {
      const torch::NoGradGuard no_grad;
      wanted = extractor->embed(clean);
    }
    rows.push_back(1 - at::cosine_similarity(extractor->embed(faces), wanted, 1));
  }
  return torch::stack(rows);
}

torch::Tensor purifier_loss(const torch::Tensor& differences, double feature_weight) {
  const auto means = differences.mean(1);
  return means[0] + feature_weight * means.slice(0, 1).sum();
}

std::function<Batch(std::int64_t)> draw_pairs(const TrainingConfig& config, const TrainingPhotos& known,
                                              Trainee& trainee) {
  return [&config, &known, &trainee](std::int64_t step) -> Batch {
    std::vector<std::int64_t> photo_rows, twin_rows;
    for (const auto row : draw_rows(config, known, step).rows)
      (photo_rows.size() == twin_rows.size() ? photo_rows : twin_rows).push_back(row);
    const auto photos = faces_in(known, photo_rows);
    const auto twins = amplified(photos.pixels, faces_in(known, twin_rows).pixels, config.seed, step);
    return [&config, &trainee, clean = twice(photos), pictures = torch::cat({twins, photos.pixels})] {
      const auto device = config.options.device;
      const auto& [features, weight] = config.purification;
      // The sum of the two kinds' losses is twice the mean over both, which are equally many.
      return 2 * purifier_loss(differences(purify(trainee, pictures.to(device)), clean.to(device), features), weight);
    };
  };
}

Purity purity_before(const TrainingConfig& config, const TrainingPhotos& known) {
  return purity_of(config, known, [](const torch::Tensor& pictures) { return pictures; });
}

Purity purity_after(const TrainingConfig& config, const TrainingPhotos& known, Trainee& trainee) {
  trainee.learn(false);
  const auto found = purity_of(config, known, [&](const torch::Tensor& pictures) { return purify(trainee, pictures); });
  trainee.learn(true);
  return found;
}

double loss_of(const Purity& purity, double feature_weight) {
  return (purifier_loss(purity.twins.unsqueeze(1), feature_weight) +
          purifier_loss(purity.photos.unsqueeze(1), feature_weight))
      .item<double>();
}

Json record_of(const Purity& purity, const Surrogates& features) {
  return {{"twins", record_of_means(purity.twins, features)}, {"photos", record_of_means(purity.photos, features)}};
}

}  // namespace facepoison
